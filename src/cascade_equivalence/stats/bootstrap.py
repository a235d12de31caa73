"""The cluster bootstrap: whole texts are drawn, because six voices of one text are not six observations.

One draw gives every group a weight, the number of times it was drawn (Field & Welsh 2007). A statistic is a function of
these weights, so it needs only sums over each group's rows, made once. Equal seeds and group counts give equal weights:
intervals of differences between systems that answered the same groups come from the same draws.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Floats = NDArray[np.float64]
CHUNK = 500  # draws held at a time; part of what a seed means, so never tune it to the machine


@dataclass(frozen=True)
class Clusters:
    """Which group each row belongs to.

    Attributes:
        index: Group of each row, (rows,).
        count: Number of groups.
    """

    index: NDArray[np.intp]
    count: int

    @classmethod
    def of(cls, groups: Sequence[str]) -> "Clusters":
        """Number the groups in the order of their names, so that weights do not depend on the order of the rows."""
        names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        return cls(index.astype(np.intp), len(names))

    def totals(self, values: ArrayLike) -> Floats:
        """Sum a value per row, (rows,), within each group, (groups,)."""
        return np.bincount(self.index, weights=np.asarray(values), minlength=self.count).astype(np.float64)

    def tally(self, codes: NDArray[np.intp], categories: int) -> sparse.csr_array:
        """Count each category, given as a code per row, within each group: (groups, categories), sparse."""
        ones = np.ones(len(codes))
        return sparse.coo_array((ones, (self.index, codes)), shape=(self.count, categories)).tocsr()


@dataclass(frozen=True)
class Statistic:
    """A number that depends on how often each group counts.

    Attributes:
        of: Weights (draws, groups) -> values (draws,), NaN where undefined.
        undefined: Why the value may not exist, in words.
    """

    of: Callable[[Floats], Floats]
    undefined: str


@dataclass(frozen=True)
class Estimate:
    """A value with its percentile interval.

    Attributes:
        value: The value on the data as they are; None where undefined.
        low: Lower end of the interval; None where there is none.
        high: Upper end of the interval.
        undefined_draws: Draws in which the value did not exist; they are left out of the interval.
        reason: Why the value or the interval is missing.
    """

    value: float | None
    low: float | None
    high: float | None
    undefined_draws: int
    reason: str | None


def draw_weights(groups: int, draws: int, seed: int) -> Iterator[Floats]:
    """Draw multinomial weights: each draw takes ``groups`` groups with replacement.

    Args:
        groups: Number of groups.
        draws: Number of draws.
        seed: Seed of the generator.

    Yields:
        Weights (up to ``CHUNK`` draws, groups); every row sums to ``groups``.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        # Counting drawn indices gives the multinomial distribution several times faster than Generator.multinomial.
        drawn = generator.integers(0, groups, (count, groups)) + np.arange(count)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def ratio(top: Floats, bottom: Floats, undefined: str) -> Statistic:
    """A ratio of two sums over rows, from their group totals, (groups,) each."""
    sums = np.stack([top, bottom], axis=1)

    def of(weights: Floats) -> Floats:
        numerator, denominator = (weights @ sums).T
        return np.divide(numerator, denominator, out=np.full(len(weights), np.nan), where=denominator != 0)

    return Statistic(of, undefined)


def estimate(
    statistics: Mapping[str, Statistic], groups: int, *, draws: int, confidence: float, seed: int
) -> dict[str, Estimate]:
    """Estimate statistics with percentile intervals, all from the same draws.

    Args:
        statistics: The statistics, by name.
        groups: Number of groups.
        draws: Number of draws.
        confidence: Level of the intervals, in (0, 1).
        seed: Seed of the draws.

    Returns:
        An estimate a statistic. With a single group there is nothing to draw from, hence no interval.
    """
    values = {name: float(statistic.of(np.ones((1, groups)))[0]) for name, statistic in statistics.items()}
    drawn: dict[str, list[Floats]] = {name: [] for name in statistics}
    for weights in draw_weights(groups, draws, seed):
        for name, statistic in statistics.items():
            drawn[name].append(statistic.of(weights))
    return {
        name: _summary(values[name], np.concatenate(drawn[name]), groups, confidence, statistic.undefined)
        for name, statistic in statistics.items()
    }


def _summary(value: float, drawn: Floats, groups: int, confidence: float, undefined: str) -> Estimate:
    defined = drawn[~np.isnan(drawn)]
    missing = len(drawn) - len(defined)
    if np.isnan(value):
        return Estimate(None, None, None, missing, undefined)
    if groups == 1:
        return Estimate(value, None, None, missing, "no interval: all rows belong to one group")
    if not len(defined):
        return Estimate(value, None, None, missing, f"no interval: in every draw, {undefined}")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), missing, None)
