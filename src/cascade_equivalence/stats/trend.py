"""Whether a number goes one way over the settings of something, on the same clips: its slope, and Page's test.

At settings x_1 < ... < x_k a statistic (a kappa, an accuracy) has the values v_1 ... v_k. The slope is that of least
squares, a contrast of the values,

    slope = sum_j c_j v_j,    c_j = (x_j - mean x) / sum_i (x_i - mean x)^2,

with limits from those (l_j, u_j) of the values and the correlations r of their influences (method of variance estimates
recovery for linear functions; Zou, Huang & Zhang 2009),

    low  = slope - sqrt(sum_ij r_ij a_i a_j),    a_j = c_j (v_j - l_j) where c_j > 0, else c_j (u_j - v_j),
    high = slope + sqrt(sum_ij r_ij b_i b_j),    b_j = c_j (u_j - v_j) where c_j > 0, else c_j (v_j - l_j),

which of two settings is the difference of ``intervals.difference`` by their distance.

Where tasks or models are the points of a line, they lie about it beyond the errors of their values, too. With the
points in units of which each may move as a whole (the systems on one task), the reach of least squares' own t-interval
is

    t(units - 2) sqrt(s^2 sum_units (sum_j |c_j|)^2),    s^2 = RSS / points * units / (units - 2),

which is the usual one where each unit has one point, or all of its points at one place, and wider else: no correlation
within a unit makes it too narrow.

Page's test of an ordered alternative (Page 1963) has texts as blocks: what each text has at the settings is ranked from
1 to k, equal ones at their mean rank, and

    L = sum_texts sum_j j rank_j.

If the settings make no difference to a text, what it has comes in any order with the same probability; the
distribution of L is then the convolution of those of the texts, which is computed whole, ties and all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.intervals import correlation
from cascade_equivalence.stats.statistic import Interval, Statistic, value_of

MOST_WHOLE = 7
"""Settings of which all orders are gone through (7! = 5,040); with more, L is taken to be normal."""


@dataclass(frozen=True)
class PageTest:
    """Result of one test.

    Attributes:
        statistic: L.
        expected: What L is on average where settings make no difference; above it, what texts have rises.
        p: Two-sided p-value.
    """

    statistic: float
    expected: float
    p: float


def slope(values: Sequence[Statistic], settings: Sequence[float], groups: int, undefined: str) -> Statistic:
    """Least-squares slope of a statistic over settings.

    Args:
        values: The statistic at each setting, over the same groups; each has an interval.
        settings: Where each stands, two different ones at least.
        groups: Number of groups.
        undefined: Why the slope may not exist: it does not where one of the values does not.
    """
    weights = slope_weights(settings)

    def of(counts: Floats) -> Floats:
        return np.stack([each.of(counts) for each in values], axis=-1) @ weights

    def interval() -> Interval:
        found = [each.interval() for each in values if each.interval is not None]
        assert len(found) == len(values)
        at = np.array([value_of(each, groups) for each in values])
        fewest = min(each.groups for each in found)
        reason = next((each.reason for each in found if each.reason), None)

        def limits(confidence: float) -> tuple[float, float]:
            low, high = np.array([each.limits(confidence) for each in found]).T
            related = np.array(
                [
                    [
                        1.0 if one is other else correlation(one.influence, other.influence, fewest, confidence)
                        for other in found
                    ]
                    for one in found
                ]
            )
            return slope_limits(weights, at, low, high, related)

        influence = np.stack([each.influence for each in found], axis=-1) @ weights
        return Interval(limits, influence, fewest, reason)

    return Statistic(of, undefined, interval)


def slope_weights(settings: Sequence[float]) -> Floats:
    """The c_j of the least-squares slope over settings, two different ones at least."""
    places = np.asarray(settings, dtype=float) - np.mean(settings)
    weights: Floats = places / float(places @ places)
    return weights


def slope_limits(weights: Floats, at: Floats, low: Floats, high: Floats, related: Floats) -> tuple[float, float]:
    """Limits of the slope, from values with their limits (settings,) and the correlations (settings, settings)."""
    down, up = at - low, high - at
    middle = float(at @ weights)
    return (
        middle - _reach(weights * np.where(weights > 0, down, up), related),
        middle + _reach(weights * np.where(weights > 0, up, down), related),
    )


def _reach(parts: Floats, related: Floats) -> float:
    return math.sqrt(max(0.0, float(parts @ related @ parts)))


def scatter_reach(settings: Sequence[float], at: Floats, units: Sequence[str], confidence: float) -> float:
    """How far the interval of a slope over points reaches to either side, from how they lie about the line.

    Args:
        settings: Where each point stands, two different ones at least.
        at: Its value, (points,).
        units: What each is of, three different ones at least; points of one move together, nobody knows how.
        confidence: Level of the interval.
    """
    weights = slope_weights(settings)
    places = np.asarray(settings, dtype=float) - np.mean(settings)
    apart = at - np.mean(at) - float(at @ weights) * places
    sums = [float(np.abs(weights[np.array([each == unit for each in units])]).sum()) for unit in dict.fromkeys(units)]
    free = len(sums) - 2
    variance = float(apart @ apart) / len(at) * len(sums) / free
    return float(stats.t.ppf((1 + confidence) / 2, free)) * math.sqrt(variance * sum(each**2 for each in sums))


def page(values: Floats) -> PageTest:
    """Page's test, two-sided.

    Args:
        values: What each text has at each setting, such as how many of its rows are right, (texts, settings), settings
            in their order.

    Returns:
        The test; p = 1 where no text tells the settings apart.
    """
    count = values.shape[1]
    # Twice the mean ranks are whole numbers, so that sums are exact.
    ranks = np.rint(2 * stats.rankdata(values, axis=1)).astype(np.int64)
    order = np.arange(1, count + 1)
    seen = int((ranks @ order).sum())
    # Mean ranks are (k + 1) / 2 in every text, and so are the settings' numbers: L is on average texts k (k + 1)^2 / 4.
    expected = len(values) * count * (count + 1) ** 2 / 4
    if count > MOST_WHOLE:
        spread = float(((ranks - (count + 1)) ** 2).sum()) * float(((order - order.mean()) ** 2).sum()) / (count - 1)
        z = abs(seen - 2 * expected) / math.sqrt(spread) if spread else 0.0
        return PageTest(seen / 2, expected, 2 * float(stats.norm.sf(z)))
    kinds, texts = np.unique(np.sort(ranks, axis=1), axis=0, return_counts=True)
    each = [(_orders(kind, order), number) for kind, number in zip(kinds, texts, strict=True)]
    lowest = sum(first * number for (first, _), number in each)
    chances = reduce(np.convolve, (shares for (_, shares), number in each for _ in range(number)))
    place = seen - lowest
    tail = min(float(chances[: place + 1].sum()), float(chances[place:].sum()))
    return PageTest(seen / 2, expected, min(1.0, 2 * tail))


def _orders(ranks: NDArray[np.int64], order: NDArray[np.int64]) -> tuple[int, Floats]:
    """The lowest sum of one text's ranks by the settings' numbers; the probability of it and of all above it."""
    sums = np.array(list(permutations(ranks.tolist()))) @ order
    lowest = int(sums.min())
    return lowest, np.bincount(sums - lowest) / len(sums)
