"""The cluster bootstrap: whole texts are drawn, because six voices of one text are not six observations.

One draw gives every group a weight, the number of times it was drawn (Field & Welsh 2007). A statistic is a function of
these weights, so it needs only sums over each group's rows, made once; all sums that some statistics ask for come from
one matrix product. Equal seeds and group counts give equal weights: intervals of differences between systems that
answered the same groups come from the same draws.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]
Totals: TypeAlias = Floats | sparse.csr_array
CHUNK = 500  # draws held at a time; part of what a seed means, so never tune it to the machine
KEPT_BYTES = 1 << 26  # the largest array of weights that is kept for the next call
NARROW = 64  # columns; sums of more are taken sparse
EXACT = 1 << 24  # float32 holds every whole number up to this one
ONE_GROUP = "no interval: all rows belong to one group"


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


@dataclass(frozen=True, eq=False)
class Sums:
    """What most statistics are: a formula of sums over rows.

    Attributes:
        totals: The sums within each group, (groups, columns), dense or sparse.
        formula: Sums over the groups (draws, columns) -> values (draws,), NaN where undefined.
    """

    totals: Totals
    formula: Callable[[Floats], Floats]


@dataclass(frozen=True)
class Statistic:
    """A number that depends on how often each group counts.

    Attributes:
        of: Weights (draws, groups) -> values (draws,), NaN where undefined.
        undefined: Why the value may not exist, in words.
        sums: The same as ``of``, where that is a formula of sums; ``estimate`` makes those of all statistics at once.
    """

    of: Callable[[Floats], Floats]
    undefined: str
    sums: Sums | None = None


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
        drawn = generator.integers(0, groups, (count, groups))
        drawn += np.arange(count)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def from_sums(totals: Totals, formula: Callable[[Floats], Floats], undefined: str) -> Statistic:
    """A statistic from the sums that it needs.

    Args:
        totals: The sums within each group, (groups, columns), dense or sparse.
        formula: Sums over the groups (draws, columns) -> values (draws,), NaN where undefined.
        undefined: Why the value may not exist, in words.
    """
    return Statistic(lambda weights: formula(weights @ totals), undefined, Sums(totals, formula))


def ratio(top: Floats, bottom: Floats, undefined: str) -> Statistic:
    """A ratio of two sums over rows, from their group totals, (groups,) each."""

    def formula(sums: Floats) -> Floats:
        numerator, denominator = sums.T
        return np.divide(numerator, denominator, out=np.full(len(sums), np.nan), where=denominator != 0)

    return from_sums(np.stack([top, bottom], axis=1), formula, undefined)


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
    return intervals(
        statistics,
        np.ones(groups),
        _blocks(groups, draws, seed),
        confidence=confidence,
        no_interval=ONE_GROUP if groups == 1 else None,
    )


def intervals(
    statistics: Mapping[str, Statistic],
    data: Floats,
    drawn: Iterable[Weights],
    *,
    confidence: float,
    no_interval: str | None,
) -> dict[str, Estimate]:
    """Estimate statistics with percentile intervals from given weights.

    Args:
        statistics: The statistics, by name.
        data: The weights that stand for the data as they are, (groups,).
        drawn: The weights of the draws in parts, (draws, groups) each; a draw sums to what ``data`` sums to.
        confidence: Level of the intervals, in (0, 1).
        no_interval: Why there are no intervals; None where there are.

    Returns:
        An estimate a statistic.
    """
    evaluate = _evaluator(statistics, int(data.sum()))
    values = evaluate(data[None].astype(np.float32))
    parts = [evaluate(weights) for weights in drawn]
    return {
        name: _summary(
            float(values[name][0]),
            np.concatenate([part[name] for part in parts]),
            no_interval,
            confidence,
            each.undefined,
        )
        for name, each in statistics.items()
    }


@lru_cache(maxsize=2)
def _kept(groups: int, draws: int, seed: int) -> Weights:
    weights = np.empty((draws, groups), dtype=np.float32)
    for number, chunk in enumerate(draw_weights(groups, draws, seed)):
        weights[number * CHUNK : (number + 1) * CHUNK] = chunk
    weights.flags.writeable = False
    return weights


def _blocks(groups: int, draws: int, seed: int) -> Iterator[Weights]:
    """The weights of a seed; those of the last calls are kept, for the systems of a study answer the same texts."""
    if groups * draws * np.dtype(np.float32).itemsize <= KEPT_BYTES:
        yield _kept(groups, draws, seed)
    else:
        for weights in draw_weights(groups, draws, seed):
            yield weights.astype(np.float32)


def _evaluator(statistics: Mapping[str, Statistic], taken: int) -> Callable[[Weights], dict[str, Floats]]:
    """Make a function from weights to the values of all statistics, which makes their common sums once.

    Sums of whole numbers are exact in any order. Other sums are left to their statistics, so that a value does not
    depend, in its last digit, on what is estimated beside it.
    """
    whole = {name: each.sums for name, each in statistics.items() if each.sums and _are_whole(each.sums.totals)}
    narrow = {name: each for name, each in whole.items() if each.totals.shape[1] <= NARROW}
    product = _product([each.totals for each in narrow.values()], taken) if narrow else None
    wide: dict[bytes, list[str]] = {}
    for name, each in whole.items():
        if name not in narrow:
            wide.setdefault(_content(each.totals), []).append(name)
    others = [name for name in statistics if name not in whole]

    def evaluate(weights: Weights) -> dict[str, Floats]:
        found: dict[str, list[Floats]] = {name: [] for name in statistics}
        if product:
            for (name, each), sums in zip(narrow.items(), product(weights), strict=True):
                found[name].append(each.formula(sums))
        for start in range(0, len(weights), CHUNK) if wide or others else ():
            chunk = weights[start : start + CHUNK].astype(np.float64)
            for names in wide.values():
                sums = chunk @ whole[names[0]].totals
                for name in names:
                    found[name].append(whole[name].formula(sums))
            for name in others:
                found[name].append(statistics[name].of(chunk))
        return {name: np.concatenate(parts) for name, parts in found.items()}

    return evaluate


def _product(tables: Sequence[Totals], taken: int) -> Callable[[Weights], list[Floats]]:
    """Make a function from weights to the sums (draws, columns) of each table; a column of several tables is one."""
    dense = [table if isinstance(table, np.ndarray) else table.toarray() for table in tables]
    ends = np.cumsum([table.shape[1] for table in dense])[:-1]
    columns, place = np.unique(np.hstack(dense), axis=1, return_inverse=True)
    exact = np.float32 if taken * np.abs(columns).max() < EXACT else np.float64
    columns = columns.astype(exact)

    def product(weights: Weights) -> list[Floats]:
        sums = np.matmul(weights.astype(exact, copy=False), columns).astype(np.float64)
        return np.split(sums[:, place.ravel()], ends, axis=1)

    return product


def _are_whole(totals: Totals) -> bool:
    entries = totals if isinstance(totals, np.ndarray) else totals.data
    return bool((entries == np.rint(entries)).all())


def _content(totals: Totals) -> bytes:
    """Equal for equal sums."""
    parts = [totals] if isinstance(totals, np.ndarray) else [totals.data, totals.indices, totals.indptr]
    return b"".join(part.tobytes() for part in parts)


def _summary(value: float, drawn: Floats, no_interval: str | None, confidence: float, undefined: str) -> Estimate:
    defined = drawn[~np.isnan(drawn)]
    missing = len(drawn) - len(defined)
    if np.isnan(value):
        return Estimate(None, None, None, missing, undefined)
    if no_interval:
        return Estimate(value, None, None, missing, no_interval)
    if not len(defined):
        return Estimate(value, None, None, missing, f"no interval: in every draw, {undefined}")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), missing, None)
