"""What two systems' errors have in common, on one task in one condition."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.stats.capa import capa, expected_agreement, no_capa
from cascade_equivalence.stats.error_consistency import (
    copied,
    error_consistency,
    expected_consistency,
    limits,
    observed_consistency,
)
from cascade_equivalence.stats.induced import induced
from cascade_equivalence.stats.overlap import ONE_WRONG, overlap_ratio
from cascade_equivalence.stats.overlap_permutation import permutation_test
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate
from cascade_equivalence.vocabulary import BINARY

CONSISTENCY = {"observed": observed_consistency, "kappa": error_consistency, "copied": copied}


def errors(
    joined: pl.DataFrame,
    paired: Paired,
    labels: Sequence[str],
    *,
    heard: pl.DataFrame | None,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two systems' errors.

    Args:
        joined: What ``join_pair`` gives.
        paired: The same rows as arrays.
        labels: The closed label set; empty for open answers.
        heard: Transcripts that the cascade of the pair reads (id, voice, word_errors), or None.
        draws: Permutations.
        confidence: Level of the intervals.
        seed: Seed of the permutations.

    Returns:
        A section of what the agreement node writes; intervals count whole groups.
        An estimate is ``{value, low, high, reason}``.

        - ``permutation``: a ``Permutation``
        - ``ratio``: error overlap by its empirical chance, an estimate
        - ``consistency``: {observed, kappa, copied: estimates, expected, lowest, highest: numbers, the latter two None
          where there is no kappa}
        - ``capa``: an estimate and {expected, with_invalid_pairs: numbers or None}
        - ``induced``: see ``induced``

    Raises:
        StudyError: A clip has no transcript, or more than one.
    """
    sampling: dict[str, Any] = {"draws": draws, "confidence": confidence, "seed": seed}
    statistics: dict[str, Statistic] = {name: statistic(paired) for name, statistic in CONSISTENCY.items()}
    no_ratio = ONE_WRONG if len(labels) == BINARY else None
    without_capa = no_capa(labels)
    if not no_ratio:
        statistics["ratio"] = overlap_ratio(paired)
    if not without_capa:
        statistics |= {"capa": capa(paired), "with invalid pairs": capa(paired, with_invalid_pairs=True)}
    found = estimate(statistics, paired.clusters.count, confidence)
    accuracies = float(np.mean(paired.system_correct)), float(np.mean(paired.reference_correct))
    lowest, highest = limits(*accuracies) or (None, None)
    return {
        "permutation": asdict(permutation_test(paired, labels, **sampling)),
        "ratio": asdict(found.get("ratio", Estimate(None, None, None, no_ratio))),
        "consistency": {
            **{name: asdict(found[name]) for name in CONSISTENCY},
            "expected": expected_consistency(*accuracies),
            "lowest": lowest,
            "highest": highest,
        },
        "capa": {
            **asdict(found.get("capa", Estimate(None, None, None, without_capa))),
            "expected": None if without_capa else expected_agreement(*accuracies, len(labels)),
            "with_invalid_pairs": None if without_capa else found["with invalid pairs"].value,
        },
        "induced": induced(joined, paired, heard, confidence=confidence),
    }
