"""Score test and interval for the difference of two paired proportions (Tango 1998), and for groups of rows.

With b rows only the system right, c only the reference, of n rows, and a supposed difference delta,

    T(delta) = (b - c - n delta) / sqrt(n (2 q + delta (1 - delta))),

where q is the maximum likelihood estimate, under that difference, of the probability that only the reference is right.
T(0)^2 is McNemar's statistic without continuity correction. Unlike Wald's interval this one has a width where no row is
discordant, and that is where a claim of equivalence is easiest to make wrongly.

For groups of rows T is divided by the square root of the design effect at the same delta, as Rao & Scott (1992) do for
clustered binary data; T(0)^2 is then the clustered McNemar's statistic, wherever that effect is not below 1.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.optimize import brentq

EDGE = 1e-12


def independent(_: float) -> float:
    """Design effect of independent rows."""
    return 1.0


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


def score(b: float, c: float, rows: float, delta: float, design_effect: float = 1.0) -> float:
    """Tango's statistic, standard normal if the difference is delta.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
        rows: All rows.
        delta: Supposed difference, system minus reference, in [-1, 1].
        design_effect: Variance of the difference by that of independent rows.

    Returns:
        The statistic; positive where the difference found is larger than delta.
    """
    if delta > 0:  # the systems swapped, where the root below does not cancel
        return -score(c, b, rows, -delta, design_effect)
    surplus = b - c - rows * delta
    variance = rows * (2 * only_reference(b, c, rows, delta) + delta * (1 - delta)) * design_effect
    if variance <= 0:
        return float(np.copysign(np.inf, surplus)) if surplus else 0.0
    return float(surplus / np.sqrt(variance))


def interval(
    b: float, c: float, rows: float, confidence: float, design_effect: Callable[[float], float] = independent
) -> tuple[float, float]:
    """The differences that the score test does not reject.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
        rows: All rows, one at least.
        confidence: Level of the interval, in (0, 1).
        design_effect: Design effect at a supposed difference.

    Returns:
        Lower and upper limit, in [-1, 1].
    """
    return invert(lambda delta: score(b, c, rows, delta, design_effect(delta)), (b - c) / rows, (-1.0, 1.0), confidence)


def invert(
    statistic: Callable[[float], float], value: float, bounds: tuple[float, float], confidence: float
) -> tuple[float, float]:
    """The values that a score test does not reject.

    Args:
        statistic: Standard normal statistic at a supposed value; it falls through zero at the estimate.
        value: The estimate.
        bounds: Smallest and largest possible value.
        confidence: Level of the interval, in (0, 1).

    Returns:
        Lower and upper limit; a bound where the test rejects nothing up to there.
    """
    critical = float(stats.norm.isf((1 - confidence) / 2))
    lowest, highest = bounds

    def limit(bound: float, level: float) -> float:
        far, near = bound + np.copysign(EDGE, value - bound), value + np.copysign(EDGE, bound - value)
        if abs(value - bound) <= EDGE or (statistic(far) - level) * (statistic(near) - level) >= 0:
            return bound
        return float(brentq(lambda supposed: statistic(supposed) - level, far, near))

    return limit(lowest, critical), limit(highest, -critical)
