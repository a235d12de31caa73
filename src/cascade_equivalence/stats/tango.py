"""Score test and interval for the difference of two paired proportions (Tango 1998), and for groups of rows.

With b rows only the system right, c only the reference, of n rows, and a supposed difference delta,

    T(delta) = (b - c - n delta) / sqrt(n (2 q + delta (1 - delta))),

where q is the maximum likelihood estimate, under that difference, of the probability that only the reference is right.
T(0)^2 is McNemar's statistic without continuity correction. Unlike Wald's interval this one has a width where no row is
discordant, and that is where a claim of equivalence is easiest to make wrongly.

For groups of rows the variance is that of the group totals at the same delta, see ``clustered``; T(0)^2 is then the
clustered McNemar's statistic.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.optimize import brentq

EDGE = 1e-12  # the bounds themselves can have no variance
STEP = 1e-7  # as near the estimate as matters; nearer, rounding would be most of what changes
Variance = Callable[[float, float], float]


def of_rows(_: float, expected: float) -> float:
    """The variance at a supposed value where rows are independent: what is expected then."""
    return expected


def only_reference(b: float, c: float, rows: float, delta: float) -> float:
    """Constrained maximum likelihood estimate of the probability that only the reference is right.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
        rows: All rows.
        delta: Supposed difference, system minus reference, in [-1, 0].
    """
    linear = -b - c + (2 * rows - b + c) * delta
    # The discriminant in two factors, of which rounding can leave the first a little below nothing.
    root = (-8 * rows * c * delta * (1 - delta)) ** 0.5
    return (max(0.0, -linear - root) ** 0.5 * (root - linear) ** 0.5 - linear) / (4 * rows)


def null_variance(b: float, c: float, rows: float, delta: float) -> float:
    """Variance of b - c if rows are independent and the difference is delta.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
        rows: All rows.
        delta: Supposed difference, system minus reference, in [-1, 1].
    """
    if delta > 0:  # the systems swapped, where the constrained estimate does not cancel
        return null_variance(c, b, rows, -delta)
    return max(0.0, rows * (2 * only_reference(b, c, rows, delta) + delta * (1 - delta)))


def score(b: float, c: float, rows: float, delta: float, variance: Variance = of_rows) -> float:
    """Tango's statistic, standard normal if the difference is delta.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
        rows: All rows.
        delta: Supposed difference, system minus reference, in [-1, 1].
        variance: Variance of b - c, from delta and from what that of independent rows would be.

    Returns:
        The statistic; positive where the difference found is larger than delta.
    """
    return standardise(b - c - rows * delta, variance(delta, null_variance(b, c, rows, delta)))


def interval(b: float, c: float, rows: float, confidence: float, variance: Variance = of_rows) -> tuple[float, float]:
    """The differences that the score test does not reject.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
        rows: All rows, one at least.
        confidence: Level of the interval, in (0, 1).
        variance: As for ``score``.

    Returns:
        Lower and upper limit, in [-1, 1].
    """
    return invert(lambda delta: score(b, c, rows, delta, variance), (b - c) / rows, (-1.0, 1.0), confidence)


def standardise(surplus: float, variance: float) -> float:
    """A number by its standard deviation; infinite where that is zero, but for zero itself."""
    if variance <= 0:
        return float(np.copysign(np.inf, surplus)) if surplus else 0.0
    return float(surplus / np.sqrt(variance))


def invert(
    statistic: Callable[[float], float], value: float, bounds: tuple[float, float], confidence: float
) -> tuple[float, float]:
    """The values that a score test does not reject.

    Args:
        statistic: Standard normal statistic at a supposed value, zero at the estimate.
        value: The estimate.
        bounds: Smallest and largest possible value.
        confidence: Level of the interval, in (0, 1).

    Returns:
        Lower and upper limit; a bound where the test rejects nothing up to there, the estimate where it rejects all
        other values.
    """
    critical = float(stats.norm.isf((1 - confidence) / 2))

    def limit(bound: float) -> float:
        room = value - bound
        if abs(room) <= EDGE:
            return bound
        far, near = bound + np.copysign(EDGE, room), value - np.copysign(min(STEP, abs(room) / 2), room)
        if abs(statistic(far)) <= critical:
            return bound
        if abs(statistic(near)) >= critical:
            return value
        return float(brentq(lambda supposed: abs(statistic(supposed)) - critical, far, near))

    return limit(bounds[0]), limit(bounds[1])
