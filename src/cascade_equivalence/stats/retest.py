"""How far a system that is asked again agrees with itself: what "the same system" means for every kappa."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from cascade_equivalence.stats import agreement
from cascade_equivalence.stats.accuracy import accuracy_difference
from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate


def retest(usual: pl.DataFrame, again: pl.DataFrame, labels: Sequence[str], confidence: float = 0.95) -> dict[str, Any]:
    """Compare a system's answers with those that it gives when it is asked again.

    Args:
        usual: Its answers.
        again: Its answers to the same clips, asked again.
        labels: The closed label set; empty for open answers.
        confidence: Level of the intervals.

    Returns:
        ``rows``, ``groups``, and the estimates ``kappa``, ``observed_agreement`` and ``accuracy_difference`` (again
        minus usual), each ``{value, low, high, reason}``: the statistics of ``compare``.

    Raises:
        StudyError: A table does not pass ``check_answers``, or the two do not join one to one.
    """
    joined = join_pair(
        check_answers(again, labels, "the answers of the system asked again"),
        check_answers(usual, labels, "the system's answers"),
    )
    paired = Paired.of(joined, labels)
    clusters = paired.clusters
    found = estimate(
        {
            "kappa": agreement.kappa(paired),
            "observed_agreement": agreement.observed_agreement(paired),
            "accuracy_difference": accuracy_difference(clusters, paired.system_correct, paired.reference_correct),
        },
        clusters.count,
        confidence,
    )
    return {
        "rows": joined.height,
        "groups": clusters.count,
        **{name: asdict(each) for name, each in found.items()},
    }
