"""McNemar's test where several rows belong to one group, such as six voices of one text.

With d_k the rows of group k that only the system got right, minus those that only the reference got right,

    X^2 = (sum_k d_k)^2 / sum_k d_k^2, chi-square with one degree of freedom.

This is the test of Obuchowski (1998) without its factor (groups - 1) / groups, so that it is McNemar's test without
continuity correction where every group has one row. Where all groups are equally large it is also the test of Durkalski
et al. (2003), which weights groups equally; here rows weigh equally, as in the accuracy difference that is reported.
Rows repeated in every group leave it as it is.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy import stats

from cascade_equivalence.stats.bootstrap import Clusters, Floats
from cascade_equivalence.stats.paired import Paired

CHI_SQUARE = "clustered McNemar (Obuchowski 1998), chi-square"
SIGN_FLIP = "exact permutation, whole groups flipped"
ONE_GROUP = "all rows belong to one group"


@dataclass(frozen=True)
class ClusteredMcNemar:
    """Result of one test.

    Attributes:
        statistic: Chi-square with one degree of freedom; None where there is no test.
        p: Two-sided p-value; None where there is no test.
        method: How p was computed.
        reason: Why there is no test.
    """

    statistic: float | None
    p: float | None
    method: str
    reason: str | None


def clustered_mcnemar(b: Floats, c: Floats) -> ClusteredMcNemar:
    """Test whether two systems are right equally often, with whole groups as the independent units.

    Args:
        b: Rows of each group that only the system got right, (groups,).
        c: Rows of each group that only the reference got right, (groups,).

    Returns:
        The test; p = 1 where no group favours either system, and no test where there is a single group.
    """
    if len(b) == 1:
        return ClusteredMcNemar(None, None, CHI_SQUARE, f"no test: {ONE_GROUP}")
    surplus = b - c
    spread = float(surplus @ surplus)
    statistic = float(surplus.sum()) ** 2 / spread if spread else 0.0
    return ClusteredMcNemar(statistic, float(stats.chi2.sf(statistic, 1)), CHI_SQUARE, None)


def sign_flip(b: Floats, c: Floats) -> float:
    """Two-sided p of the permutation test that swaps the two systems in whole groups, over all 2^groups swaps.

    Nothing is drawn: groups with one and the same surplus have a binomial number of swaps, and the sum over surpluses
    is a convolution of these. Where every group has one row this is the exact test of McNemar.

    Args:
        b: Rows of each group that only the system got right, (groups,).
        c: Rows of each group that only the reference got right, (groups,).

    Returns:
        Probability of a sum of surpluses as far from zero, or further.
    """
    surplus = np.rint(b - c).astype(np.int64)
    sizes, counts = np.unique(np.abs(surplus[surplus != 0]), return_counts=True)
    total, seen = int(sizes @ counts), abs(int(surplus.sum()))
    if not seen:
        return 1.0
    # Probability of each sum of the surpluses that favour the one system, 0 to total.
    sums = reduce(np.convolve, (_favoured(size, count) for size, count in zip(sizes, counts, strict=True)))
    return min(1.0, 2 * float(sums[: (total - seen) // 2 + 1].sum()))


def _favoured(size: int, count: int) -> Floats:
    probabilities = np.zeros(size * count + 1)
    probabilities[::size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
    return probabilities


@dataclass(frozen=True)
class RatioEstimator:
    """An estimate that is one sum over rows by another, at least to first order, and how rows depend within groups.

    The row's residual at a value v is ``top - v * bottom``; residuals sum to zero at the estimate.

    Attributes:
        top: Numerator of each row, (rows,).
        bottom: Denominator of each row, (rows,).
        clusters: The group of each row.
    """

    top: Floats
    bottom: Floats
    clusters: Clusters

    @classmethod
    def accuracy_difference(cls, paired: Paired) -> "RatioEstimator":
        """Accuracy of the system minus that of the reference."""
        top = paired.system_correct.astype(float) - paired.reference_correct
        return cls(top, np.ones(len(top)), paired.clusters)

    @classmethod
    def kappa(cls, paired: Paired) -> "RatioEstimator":
        """Cohen's kappa, its chance agreement linearised.

        With shares a_k, b_k of category k and p_e = sum_k a_k b_k, a row with answers (i, j) has the chance agreement
        e = b_i + a_j - p_e, whose mean is p_e; then kappa = sum(match - e) / sum(1 - e), and the residuals are those
        of the large-sample variance of Fleiss, Cohen & Everitt (1969).
        """
        width, rows = len(paired.categories), len(paired.system)
        system = np.bincount(paired.system, minlength=width) / rows
        reference = np.bincount(paired.reference, minlength=width) / rows
        by_chance = reference[paired.system] + system[paired.reference] - system @ reference
        return cls((paired.system == paired.reference) - by_chance, 1 - by_chance, paired.clusters)

    @property
    def value(self) -> float:
        """The estimate; NaN where the denominator is zero."""
        bottom = float(self.bottom.sum())
        return float(self.top.sum()) / bottom if bottom else float("nan")

    def row_error(self) -> float:
        """Standard error of the estimate if rows were independent."""
        residuals = self.top - self.value * self.bottom
        return float(np.sqrt(residuals @ residuals) / abs(self.bottom.sum()))

    def design_effect(self, value: float) -> float:
        """How many times larger the variance is than that of independent rows (Kish 1965), at a supposed value.

        The sum of squared residuals of groups by that of rows. Where no row has a residual, which then says nothing,
        rows of one group count as copies of each other.
        """
        residuals = self.top - value * self.bottom
        rows = float(residuals @ residuals)
        if not rows:
            residuals, rows = self.bottom, float(self.bottom @ self.bottom)
        groups = self.clusters.totals(residuals)
        return float(groups @ groups) / rows

    def deflation(self, value: float) -> float:
        """The design effect, at least 1: rows of one group never tell more than independent rows."""
        return max(1.0, self.design_effect(value))
