"""Score interval of Cohen's kappa by groups.

A supposed kappa v is judged by the residuals of rows, match - e - v (1 - e), see ``RatioEstimator.kappa``: their sum is
n (1 - p_e) (kappa - v), and its variance is taken at v. If rows were independent, that variance is the one under the
common-correlation model (Bloch & Kraemer 1989; Donner & Eliasziw 1992), in which two systems give the answers i and j
with probability

    v pi_i [i = j] + (1 - v) pi_i pi_j,

with pi fitted at v (maximum likelihood, by expectation and maximisation). It is not the variance at the answers'
shares as they were seen: where nearly all answers are one and the same, few others have shown what they do, and a kappa
near 1 makes more of them likely than were seen. Residuals that vary less than the model has it, as where some answers
are agreed on more than others, scale it down, as far as the rows show that. How rows of a group depend is accounted for
as in ``RatioEstimator.null_variance``; the quantile is Student's, with one degree of freedom less than
there are groups.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cascade_equivalence.stats import tango
from cascade_equivalence.stats.clustered import RatioEstimator
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Interval

STEPS = 100
ONE_SIDE = float(stats.norm.isf(0.05))
NEAR = 1e-7  # of a row; nearer shares change no limit


class KappaScore:
    """The score test of kappa on the answers of two systems; not both of them constant on one answer."""

    def __init__(self, system: NDArray[np.intp], reference: NDArray[np.intp], estimator: RatioEstimator) -> None:
        """Prepare the test.

        Args:
            system: Code of the system's answer, (rows,).
            reference: Code of the reference's answer, (rows,).
            estimator: Kappa as a ratio of sums, over the same rows.
        """
        _, codes = np.unique(np.concatenate([system, reference]), return_inverse=True)
        one, other = np.split(codes, 2)
        width = int(codes.max()) + 1
        self._rows = len(one)
        self._same = np.bincount(one[one == other], minlength=width).astype(float)
        self._apart = np.bincount(codes, minlength=width) - 2 * self._same
        self._estimator = estimator
        self.value = estimator.value
        self.by_chance = 1 - float(estimator.bottom.mean())
        self._scale = self._model_scale()

    @classmethod
    def of(cls, paired: Paired) -> "KappaScore":
        """The test of two systems' answers."""
        return cls(paired.system, paired.reference, RatioEstimator.kappa(paired))

    def statistic(self, supposed: float) -> float:
        """Standard normal if kappa is the supposed value; positive where the value found is larger."""
        surplus = self._rows * (1 - self.by_chance) * (self.value - supposed)
        expected = self._scale * self._expected(supposed)
        return tango.standardise(surplus, self._estimator.null_variance(supposed, expected))

    def limits(self, confidence: float) -> tuple[float, float]:
        """The values that the test does not reject, within those that kappa can have at this chance agreement."""
        lowest = max(-1.0, -self.by_chance / (1 - self.by_chance))
        # Chance agreement and scale are estimated from as many groups: Student's quantile.
        reach = stats.t.isf((1 - confidence) / 2, self._estimator.clusters.count - 1)
        return tango.invert(self.statistic, self.value, (lowest, 1.0), 1 - 2 * float(stats.norm.sf(reach)))

    def interval(self) -> Interval:
        """The interval of kappa with the influence of each group."""
        estimator = self._estimator
        residuals = estimator.top - self.value * estimator.bottom
        influence = estimator.clusters.totals(residuals) / estimator.bottom.sum()
        return Interval(self.limits, influence, estimator.clusters.count)

    def _model_scale(self) -> float:
        """How much less residuals vary than the model has it, 1 at most.

        Of that, no more is believed than the rows show: the variance that the model would still allow beside what was
        seen, at one side of 95 %. Where two answers are rare, rows with both of them make nearly all of the variance,
        and none may be there by luck.
        """
        expected = self._expected(self.value)
        if expected <= 0:
            return 1.0
        residuals = self._estimator.top - self.value * self._estimator.bottom
        v = max(0.0, self.value)
        shares = self._shares(v)
        # The variance of a sum of squares is at most the sum of fourth powers; matched rows have the large ones.
        fourth = self._rows * float((v * shares + (1 - v) * shares**2) @ _matched(shares, v) ** 4)
        luck = ONE_SIDE * math.sqrt(self._estimator.copies * fourth)
        return min(1.0, (float(residuals @ residuals) + luck) / expected)

    def _shares(self, supposed: float) -> Floats:
        """Shares pi of the answers at a supposed kappa, (answers,)."""
        shares = (self._same + self._apart / 2) / self._rows
        for _ in range(STEPS):
            # A matched row is one draw of an answer where it was copied, two where both drew the same.
            either = supposed + (1 - supposed) * shares
            copied = np.divide(supposed, either, out=np.zeros_like(shares), where=either > 0)
            drawn = self._apart + self._same * (2 - copied)
            drawn /= drawn.sum()
            near = np.abs(drawn - shares).max() < NEAR / self._rows
            shares = drawn
            if near:
                break
        return shares

    def _expected(self, supposed: float) -> float:
        """Variance of the sum of residuals at a supposed kappa, if rows were independent."""
        v = max(0.0, supposed)  # the model has no agreement below chance
        shares = self._shares(v)
        square, cube = float(shares @ shares), float((shares**3).sum())
        matched = _matched(shares, v)
        as_if_apart = v + (1 - v) * (2 * shares - square)
        # Residuals of two answers drawn apart are -(v + (1 - v) x), x = pi_i + pi_j - p_e, whose moments these are.
        mean, second = square, 2 * cube - square**2
        apart = v**2 + 2 * v * (1 - v) * mean + (1 - v) ** 2 * second
        found = (v * shares + (1 - v) * shares**2) @ matched**2 + (1 - v) * (apart - shares**2 @ as_if_apart**2)
        return self._rows * max(0.0, float(found))


def _matched(shares: Floats, v: float) -> Floats:
    """Residual of a row on which both gave an answer, (answers,), at a supposed kappa."""
    return (1 - v) * (1 - 2 * shares + float(shares @ shares))
