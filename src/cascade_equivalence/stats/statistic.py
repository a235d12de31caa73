"""A number with the interval that belongs to it, so that no two tables give one number two intervals.

A statistic is a function of how often each group of rows counts. Its value counts each once. How its interval is found
is a fact of the statistic itself: a score interval of a share or of kappa, a combination of two intervals for a
difference, see ``intervals``. What rests on few groups has no interval, and says so: those that have rows of its
denominator count, whatever else is in the table, and of a ratio of two parts those of the smaller one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy import sparse

from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.vocabulary import FEWEST_GROUPS

Totals: TypeAlias = Floats | sparse.csr_array
ONE_GROUP = "no interval: all rows that count belong to one group"


@dataclass(frozen=True, eq=False)
class Sums:
    """What most statistics are: a formula of sums over rows.

    Attributes:
        totals: The sums within each group, (groups, columns), dense or sparse.
        formula: Sums over the groups (draws, columns) -> values (draws,), NaN where undefined.
    """

    totals: Totals
    formula: Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class Interval:
    """How the interval of a statistic is found.

    Attributes:
        limits: Level in (0, 1) -> lower and upper limit.
        influence: By how much, to first order, each group moves the value from that of the others, (groups,).
        groups: How many groups the value rests on: those that have rows which count, in the smallest of its parts.
        reason: Why there is none, which ``limits`` must not be asked for then, nor if the groups are too few.
    """

    limits: Callable[[float], tuple[float, float]]
    influence: Floats
    groups: int
    reason: str | None = None


@dataclass(frozen=True)
class Statistic:
    """A number that depends on how often each group counts.

    Attributes:
        of: Weights (draws, groups) -> values (draws,), NaN where undefined.
        undefined: Why the value may not exist, in words.
        interval: How its interval is found, called where there is a value; None where the number has none, because it
            describes these answers and is no estimate of anything beyond them.
        sums: The same as ``of``, where that is a formula of sums.
    """

    of: Callable[[Floats], Floats]
    undefined: str
    interval: Callable[[], Interval] | None = None
    sums: Sums | None = None


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: The value on the data as they are; None where undefined.
        low: Lower end of the interval; None where there is none.
        high: Upper end of the interval.
        reason: Why the value or the interval is missing.
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None


def from_sums(
    totals: Totals,
    formula: Callable[[Floats], Floats],
    undefined: str,
    interval: Callable[[], Interval] | None = None,
) -> Statistic:
    """A statistic from the sums that it needs.

    Args:
        totals: The sums within each group, (groups, columns), dense or sparse.
        formula: Sums over the groups (draws, columns) -> values (draws,), NaN where undefined.
        undefined: Why the value may not exist, in words.
        interval: How its interval is found.
    """
    return Statistic(lambda weights: formula(weights @ totals), undefined, interval, Sums(totals, formula))


def value_of(statistic: Statistic, groups: int) -> float:
    """The value on the data as they are; NaN where undefined."""
    return float(statistic.of(np.ones((1, groups)))[0])


def too_few(groups: int) -> str | None:
    """Why a number that rests on so many groups has no interval; None where it has one."""
    if groups == 1:
        return ONE_GROUP
    return f"no interval: {groups} groups are too few, fewer than {FEWEST_GROUPS}" if groups < FEWEST_GROUPS else None


def resting_on(interval: Interval, groups: int, which: str) -> Interval:
    """The interval of a number that rests on some of the groups only; none where those are too few.

    Args:
        interval: As of all groups.
        groups: How many groups the number rests on.
        which: What these have in common, for the reason: ``with an error``.
    """
    if groups < FEWEST_GROUPS:
        return replace(interval, reason=f"no interval: {groups} groups {which} are too few, fewer than {FEWEST_GROUPS}")
    return replace(interval, groups=min(interval.groups, groups))


def estimate(statistics: Mapping[str, Statistic], groups: int, confidence: float) -> dict[str, Estimate]:
    """Estimate statistics with their intervals.

    Args:
        statistics: The statistics, by name.
        groups: Number of groups.
        confidence: Level of the intervals, in (0, 1).

    Returns:
        An estimate a statistic.
    """
    return {name: _estimate(each, groups, confidence) for name, each in statistics.items()}


def _estimate(statistic: Statistic, groups: int, confidence: float) -> Estimate:
    value = value_of(statistic, groups)
    if np.isnan(value):
        return Estimate(None, None, None, statistic.undefined)
    if statistic.interval is None:
        return Estimate(value, None, None, None)
    found = statistic.interval()
    if reason := too_few(found.groups) or found.reason:
        return Estimate(value, None, None, reason)
    low, high = found.limits(confidence)
    # Limits that the value itself bounds can miss it by a rounding error.
    return Estimate(value, min(low, value), max(high, value), None)
