"""Error consistency: do two systems err on the same rows (Geirhos et al. 2020, arXiv:2006.16736)?

With accuracies a and b, the observed consistency c_obs is the share of rows on which both are right or both are wrong;
independent systems with these accuracies would reach c_exp = a b + (1 - a)(1 - b). Error consistency is Cohen's kappa
of right and wrong,

    kappa = (c_obs - c_exp) / (1 - c_exp).

Which wrong answer is given plays no part. The accuracies limit it, because c_obs lies between |a + b - 1| and
1 - |a - b|.
"""

import numpy as np

from cascade_equivalence.stats.agreement import cohen_kappa
from cascade_equivalence.stats.clustered import RatioEstimator
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.intervals import share
from cascade_equivalence.stats.kappa_interval import KappaScore
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Interval, Statistic, from_sums, resting_on

CONSTANT = "both systems are right on every item, or both are wrong on every item"
ALWAYS_ALIKE = "the more accurate system is right on every item or wrong on every item, so there is nothing to copy"


def observed_consistency(paired: Paired) -> Statistic:
    """Share of rows on which both systems are right or both are wrong."""
    return share(paired.clusters, paired.system_correct == paired.reference_correct, "there are no rows")


def error_consistency(paired: Paired) -> Statistic:
    """Cohen's kappa of whether each system is right; an answer that could not be parsed is wrong.

    Its interval rests on the groups in which either system errs, and on those in which either is right: with fewer than
    ten such groups it held the truth as seldom as 87 % of the time.
    """

    def formula(sums: Floats) -> Floats:
        rows, consistent, *right = sums.T
        system, reference = (np.stack([rows - each, each], axis=-1) for each in right)
        return cohen_kappa(consistent, system, reference)

    def interval() -> Interval:
        right = paired.system_correct.astype(np.intp), paired.reference_correct.astype(np.intp)
        found = KappaScore(*right, RatioEstimator.of_codes(*right, paired.clusters)).interval()
        # Groups in which both are always right say nothing of errors, nor do those in which both are always wrong.
        one, other, clusters = paired.system_correct, paired.reference_correct, paired.clusters
        found = resting_on(found, clusters.among(one | other).count, "with a right answer")
        return resting_on(found, clusters.among(~(one & other)).count, "with an error")

    return from_sums(_totals(paired), formula, CONSTANT, interval)


def copied(paired: Paired) -> Statistic:
    """The share of rows that one system would have to copy from the other to be as consistent with it as it is.

    The copy model of Klein et al. (2025, arXiv:2507.06645): on a share c of the rows the less accurate system is right
    where the more accurate one is, on the others it is right or wrong independently of it. With accuracies a >= b, the
    covariance of right and wrong is then c a (1 - a), and 2 covariance = kappa (1 - c_exp), hence

        c = (P(both right) - a b) / (a (1 - a)) = kappa (1 - c_exp) / (2 a (1 - a)),

    which is kappa itself where the accuracies are equal. A negative value is the share that would have to be turned
    round. It has no interval of its own: what is certain of it is that of error consistency.
    """

    def formula(sums: Floats) -> Floats:
        rows, consistent, system, reference = sums.T
        both = (consistent - rows + system + reference) / 2
        better = np.maximum(system, reference)
        room = better * (rows - better)
        return np.divide(rows * both - system * reference, room, out=np.full(len(room), np.nan), where=room != 0)

    return from_sums(_totals(paired), formula, ALWAYS_ALIKE)


def expected_consistency(system: float, reference: float) -> float:
    """Consistency of independent systems with two accuracies, c_exp."""
    return system * reference + (1 - system) * (1 - reference)


def limits(system: float, reference: float) -> tuple[float, float] | None:
    """Lowest and highest error consistency that two accuracies allow.

    Args:
        system: Accuracy of the one system, in [0, 1].
        reference: Accuracy of the other.

    Returns:
        The limits; None where error consistency does not exist, because both accuracies are 0 or both are 1.
    """
    expected = expected_consistency(system, reference)
    if expected == 1:
        return None
    lowest, highest = abs(system + reference - 1), 1 - abs(system - reference)
    return (lowest - expected) / (1 - expected), (highest - expected) / (1 - expected)


def _totals(paired: Paired) -> Floats:
    """Sums of every group, (groups, 4): rows, rows that both got right or both wrong, right rows of each system."""
    consistent = paired.system_correct == paired.reference_correct
    columns = np.ones(len(consistent)), consistent, paired.system_correct, paired.reference_correct
    return np.stack([paired.clusters.totals(column) for column in columns], axis=1)
