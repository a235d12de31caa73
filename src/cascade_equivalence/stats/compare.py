"""One agreement node: a pair of systems on one task in one condition."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats import agreement, overlap
from cascade_equivalence.stats.accuracy import (
    accuracy,
    accuracy_difference,
    against_chance,
    levels,
    no_chance,
    parse_rate,
)
from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.indices import index_statistics
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.mcnemar import mcnemar
from cascade_equivalence.stats.pair_statistic import PAIR_STATISTICS, Pair, Settings
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate
from cascade_equivalence.vocabulary import BINARY

MATCH = "match"
"""What a node adds to the comparison: whether the two have the same text LLM."""


def compare(
    system: pl.DataFrame,
    reference: pl.DataFrame,
    labels: Sequence[str],
    *,
    heard: pl.DataFrame | None = None,
    accuracy_margin: float = 0.03,
    kappa_bound: float = 0.8,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two systems item by item.

    Args:
        system: Answers of the system under study.
        reference: Answers of the system it is compared with, to the same clips.
        labels: The closed label set; empty for open answers.
        heard: Transcripts that the pair's cascade reads (id, voice, word_errors); None if neither reads any.
        accuracy_margin: Largest difference of accuracies that is taken as none, as a share.
        kappa_bound: Smallest kappa that is taken as the same answers.
        draws: Permutations, and draws of rows as the paper draws them.
        confidence: Level of the intervals; tests are at 1 minus it.
        seed: Seed of both.

    Returns:
        What the agreement node writes, see ``numbers``. An estimate is ``{value, low, high, reason}``; its
        interval counts whole groups, see ``intervals``.

        - ``rows``, ``groups``, ``confidence``
        - ``levels`` {chance, majority, reason} of the task
        - ``system``, ``reference``: {accuracy, parse_rate: estimates, own_chance, against_chance}
        - ``accuracy_difference``: system minus reference, an estimate
        - ``kappa``, ``observed_agreement``: estimates
        - ``counts``: {labels, table[system][reference]}; None for open answers
        - ``mcnemar``: {b: only the system right, c: only the reference right, p, method}
        - ``overlap``: an estimate and {both_wrong, same_wrong, with_invalid_pairs,
          informative, chance: {uniform, empirical: {value, reason}}}
        - the statistics in ``PAIR_STATISTICS``, each under its name

    Raises:
        StudyError: A table does not pass ``check_answers``, the two do not join one to one, or a statistic in
            ``PAIR_STATISTICS`` has the name of another part.
    """
    joined = join_pair(
        check_answers(system, labels, "the system's answers"),
        check_answers(reference, labels, "the reference's answers"),
    )
    paired = Paired.of(joined, labels)
    clusters = paired.clusters
    arms = {
        "system": (paired.system_correct, paired.system != paired.invalid),
        "reference": (paired.reference_correct, paired.reference != paired.invalid),
    }
    statistics = {
        "kappa": agreement.kappa(paired),
        "observed_agreement": agreement.observed_agreement(paired),
        "accuracy_difference": accuracy_difference(clusters, paired.system_correct, paired.reference_correct),
        "overlap": overlap.error_overlap(paired),
    }
    statistics |= index_statistics(paired, closed=bool(labels))
    for arm, (correct, parsed) in arms.items():
        statistics[f"{arm} accuracy"] = accuracy(clusters, correct)
        statistics[f"{arm} parse_rate"] = parse_rate(clusters, parsed)
    found = estimate(statistics, clusters.count, confidence)

    level = levels(joined["label"], labels)
    test = mcnemar(
        int(np.sum(paired.system_correct & ~paired.reference_correct)),
        int(np.sum(~paired.system_correct & paired.reference_correct)),
    )
    uniform, empirical = overlap.uniform_chance(labels), overlap.empirical_chance(paired)
    result: dict[str, Any] = {
        "rows": joined.height,
        "groups": clusters.count,
        "confidence": confidence,
        "levels": level,
        **{
            arm: {
                "accuracy": asdict(found[f"{arm} accuracy"]),
                "parse_rate": asdict(found[f"{arm} parse_rate"]),
                **(
                    against_chance(joined[f"{arm}_parsed"], joined["label"], clusters, confidence)
                    if labels
                    else no_chance()
                ),
            }
            for arm in arms
        },
        "accuracy_difference": asdict(found["accuracy_difference"]),
        "kappa": asdict(found["kappa"]),
        "observed_agreement": asdict(found["observed_agreement"]),
        "counts": (
            {"labels": list(paired.categories), "table": agreement.count_table(paired).tolist()} if labels else None
        ),
        "mcnemar": asdict(test),
        "overlap": {
            **asdict(found["overlap"]),
            "both_wrong": int(overlap.both_wrong(paired).sum()),
            "same_wrong": int(overlap.same_wrong(paired).sum()),
            "with_invalid_pairs": overlap.with_invalid_pairs(paired),
            "informative": len(labels) != BINARY,
            "chance": {
                "uniform": dict(zip(("value", "reason"), uniform, strict=True)),
                "empirical": dict(zip(("value", "reason"), empirical, strict=True)),
            },
        },
    }
    pair = Pair(joined, paired, labels, heard, found)
    settings = Settings(accuracy_margin, kappa_bound, draws, confidence, seed)
    for name, statistic in PAIR_STATISTICS.items():
        if name in result or name == MATCH:
            raise StudyError(f"the pair statistic {name!r} needs another name: a part of each comparison has it")
        result[name] = statistic.compute(pair, settings)
        try:
            json.dumps(result[name], allow_nan=False)
        except (TypeError, ValueError) as error:
            raise StudyError(f"the pair statistic {name!r} gives what is no JSON: {error}") from error
    return result
