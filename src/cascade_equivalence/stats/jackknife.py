"""The interval of any smooth function of groups: the jackknife with t (Tukey 1958), on a scale of its own.

Probes and erasers need this and no other interval, so that a change of the others makes none of them again.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.statistic import Interval, Statistic

PARTS = 200  # groups are left out in at most so many parts
AT_ITS_BOUND = "no interval: the value is as low or as high as it can be"
NO_VARIATION = "no interval: no group differs from the others"


def smooth(
    of: Callable[[Floats], Floats],
    groups: int,
    undefined: str,
    *,
    rests_on: int,
    scale: Callable[[Floats], Floats] = lambda values: values,
    back: Callable[[float], float] = lambda value: value,
    long_tailed: bool = False,
) -> Statistic:
    """Any smooth function of the groups, with the interval of the jackknife.

    Args:
        of: Weights (draws, groups) -> values (draws,), NaN where undefined.
        groups: Number of groups.
        undefined: Why the value may not exist.
        rests_on: How many of them have rows that count, in the smallest part of the function; t has one degree of
            freedom less, or less than there are parts that are left out.
        scale: Brings values (draws,) to a scale on which they are nearly normal.
        back: Brings one value back.
        long_tailed: Whether a few groups may hold most of the variation, as with squared errors of one number; t then
            has the degrees of freedom of :func:`degrees_of_freedom`, if those are fewer.
    """

    def interval() -> Interval:
        parts = min(groups, PARTS)
        part = np.arange(groups) % parts
        kept = (part[None] != np.arange(parts)[:, None]).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = float(scale(of(np.ones((1, groups))))[0])
            without = scale(np.concatenate([of(each[None]) for each in kept]))
            moved = (whole - without) * (parts - 1) / parts
        error = float(np.sqrt(parts / max(1, parts - 1) * (moved @ moved)))  # of one group there is none
        freedom = float(min(rests_on, parts) - 1)
        if long_tailed and error and np.isfinite(error):
            freedom = max(1.0, min(freedom, degrees_of_freedom(moved) - 1))
        reason = None
        if not np.isfinite(whole):
            reason = AT_ITS_BOUND
        elif not np.isfinite(moved).all():
            reason = "no interval: the value rests on a single group"
        elif not error:
            reason = NO_VARIATION

        def limits(confidence: float) -> tuple[float, float]:
            reach = float(stats.t.isf((1 - confidence) / 2, freedom)) * error
            return back(whole - reach), back(whole + reach)

        return Interval(limits, moved[part], rests_on, reason)

    return Statistic(of, undefined, interval)


def degrees_of_freedom(deviations: Floats) -> float:
    """Degrees of freedom of a sample's variance, from the sample's kurtosis k: 2n / (k - (n - 3) / (n - 1)).

    They are those of the chi-squared distribution with the same mean and variance: n - 1 for values whose kurtosis is
    the normal's, fewer where a few values hold most of the variance. A small sample's kurtosis is below the truth; one
    degree less makes up for it (``benchmarks/probe_intervals.py``).

    Args:
        deviations: Distances from their mean (n,), not all zero, n > 1.

    Source: the variance of a sample variance, O'Neill (2014), The American Statistician 68(4), result 3.
    """
    count = len(deviations)
    kurtosis = count * float((deviations**4).sum()) / float(deviations @ deviations) ** 2
    return 2 * count / (kurtosis - (count - 3) / (count - 1))
