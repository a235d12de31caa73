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
from numpy.typing import NDArray
from scipy import stats

from cascade_equivalence.stats.clusters import Clusters, Floats
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


def row_test_size(design_effect: float, alpha: float) -> float:
    """How often McNemar's test of rows shows a difference that is not there, where rows of a group are alike.

    The variance of the difference is larger by the design effect than the test takes it to be (Kish 1965), so its
    statistic is a standard normal number times the root of that.

    Args:
        design_effect: Variance of the difference, at no difference, by that of independent rows; above 0.
        alpha: Level that the test is thought to have, in (0, 1).

    Returns:
        The share of comparisons without a difference in which it shows one; ``alpha`` at a design effect of 1.
    """
    return 2 * float(stats.norm.sf(stats.norm.isf(alpha / 2) / np.sqrt(design_effect)))


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
        return cls.of_codes(paired.system, paired.reference, paired.clusters)

    @classmethod
    def of_codes(cls, one: NDArray[np.intp], other: NDArray[np.intp], clusters: Clusters) -> "RatioEstimator":
        """Cohen's kappa of any two codes a row, (rows,) each; see ``kappa``."""
        width, rows = int(max(one.max(), other.max())) + 1, len(one)
        first, second = (np.bincount(codes, minlength=width) / rows for codes in (one, other))
        by_chance = second[one] + first[other] - first @ second
        return cls((one == other) - by_chance, 1 - by_chance, clusters)

    @property
    def value(self) -> float:
        """The estimate; NaN where the denominator is zero."""
        bottom = float(self.bottom.sum())
        return float(self.top.sum()) / bottom if bottom else float("nan")

    def row_error(self) -> float:
        """Standard error of the estimate if rows were independent."""
        return float(np.sqrt(self._squares(self.value)[0]) / abs(self.bottom.sum()))

    @property
    def copies(self) -> float:
        """The design effect if rows of one group were copies of each other."""
        sizes = self.clusters.totals(np.ones(len(self.top)))
        return float(sizes @ sizes) / len(self.top)

    def design_effect(self, value: float) -> float:
        """How many times larger the variance is than that of independent rows (Kish 1965), at a supposed value.

        The sum of squared residuals of groups by that of rows; where there are no residuals, ``copies``.
        """
        rows, groups = self._squares(value)
        return groups / rows if rows else self.copies

    def cautious_design_effect(self, value: float) -> float:
        """The design effect, and 1 at least: that few groups differ less than independent rows would is luck."""
        return max(1.0, self.design_effect(value))

    def null_variance(self, value: float, expected: float) -> float:
        """Variance of the sum of residuals if a supposed value is the true one.

        Seen residuals depend on each other as they are seen to (Rao & Scott 1992). Where the value makes more of them
        expected than there are, as when few rows are discordant, the rest has not shown how it depends, and whole
        groups of it may have been missed: it counts as copies. An estimate from the few rows that were seen is too
        small too often. Rows repeated in every group change nothing, and with one row a group this is ``expected``.

        Args:
            value: Supposed value.
            expected: Variance of the sum of residuals, at that value, if rows were independent.
        """
        rows, groups = self._squares(value)
        seen = groups * min(1.0, expected / rows) if rows else 0.0
        return seen + self.copies * max(0.0, expected - rows)

    def _squares(self, value: float) -> tuple[float, float]:
        """Sums of the squared residuals of rows and of groups."""
        residuals = self.top - value * self.bottom
        groups = self.clusters.totals(residuals)
        return float(residuals @ residuals), float(groups @ groups)
