"""CAPA, chance-adjusted probabilistic agreement, in its discrete form (Goel et al. 2025, arXiv:2502.04313).

Like error consistency it takes off the agreement that two accuracies alone bring about, but two systems that are wrong
agree only if they give the same wrong answer. With accuracies a and b, and |C| labels, of which all wrong ones are
taken as equally likely,

    c_obs = share of rows with the same answer
    c_exp = a b + (1 - a)(1 - b) / (|C| - 1)
    kappa_p = (c_obs - c_exp) / (1 - c_exp).

It is 1 for systems that agree on every row and 0 on average for independent systems whose wrong answers are spread
evenly. Systems that share favourite errors are above 0 even if their errors are unrelated within a gold label. With two
labels, all answers parsed, it is error consistency.

An answer that could not be parsed is wrong; two of them are not the same answer, as in the error overlap, so systems
that agree throughout stay below 1 if some of their answers could not be parsed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cascade_equivalence.stats.accuracy import OPEN
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.intervals import above_chance
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Interval, Statistic, from_sums, resting_on
from cascade_equivalence.vocabulary import BINARY

COMPLETE = "accuracies of both systems make agreement complete by chance"


def no_capa(labels: Sequence[str]) -> str | None:
    """Why a label set has no CAPA, or None: it needs a number of wrong answers."""
    if not labels:
        return f"{OPEN}, so there is no number of wrong answers to spread chance over"
    return None if len(labels) >= BINARY else "a single label leaves no wrong answer"


def expected_agreement(system: float, reference: float, labels: int) -> float:
    """Agreement of independent systems with two accuracies and evenly spread wrong answers, c_exp."""
    return system * reference + (1 - system) * (1 - reference) / (labels - 1)


def capa(paired: Paired, *, with_invalid_pairs: bool = False) -> Statistic:
    """CAPA of two systems' answers from a closed label set.

    Args:
        paired: Answers of the two systems; the label set must pass ``no_capa``.
        with_invalid_pairs: Whether two answers that could not be parsed are the same answer.
    """
    wrong_labels = len(paired.categories) - 2  # all but the right one and ``invalid``
    same = _same(paired, with_invalid_pairs)
    columns = np.ones(len(same)), same, paired.system_correct, paired.reference_correct

    def formula(sums: Floats) -> Floats:
        rows, agreed, system, reference = sums.T
        # Times (|C| - 1) rows^2: whole numbers, so the test for complete agreement is exact.
        by_chance = wrong_labels * system * reference + (rows - system) * (rows - reference)
        room = wrong_labels * rows**2 - by_chance
        above = wrong_labels * rows * agreed - by_chance
        return np.divide(above, room, out=np.full(len(room), np.nan), where=room != 0)

    def interval() -> Interval:
        one, other = paired.system_correct.astype(float), paired.reference_correct.astype(float)
        a, b = one.mean(), other.mean()
        # How much a row adds to chance agreement, which is a b + (1 - a)(1 - b) / wrong labels.
        to_a, to_b = b - (1 - b) / wrong_labels, a - (1 - a) / wrong_labels
        by_chance = a * b + (1 - a) * (1 - b) / wrong_labels + (one - a) * to_a + (other - b) * to_b
        # Groups in which both are always right say nothing of errors.
        wrong = ~(paired.system_correct & paired.reference_correct)
        return resting_on(
            above_chance(same, by_chance, paired.clusters), paired.clusters.among(wrong).count, "with an error"
        )

    totals = np.stack([paired.clusters.totals(column) for column in columns], axis=1)
    return from_sums(totals, formula, COMPLETE, interval)


def _same(paired: Paired, with_invalid_pairs: bool) -> NDArray[np.bool_]:
    same = paired.system == paired.reference
    return same if with_invalid_pairs else same & (paired.system != paired.invalid)
