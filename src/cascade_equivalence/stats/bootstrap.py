"""Percentile intervals from draws: the paper's way, which draws rows, and the place where two curves cross.

One draw gives every group a weight, the number of times it was drawn (Field & Welsh 2007). A statistic is a function of
these weights, so it needs only sums over each group's rows, made once; all sums that some statistics ask for come from
one matrix product. Intervals of this project's own are found otherwise, see ``statistic``: a percentile interval of few
texts is too short, and one of a value near its bound misses it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.statistic import Estimate, Statistic, Totals

Weights = NDArray[np.float32]
CHUNK = 500  # draws held at a time; part of what a seed means, so never tune it to the machine
NARROW = 64  # columns; sums of more are taken sparse
ALL_ALIKE = "no interval: the draws do not differ"
EXACT = 1 << 24  # float32 holds every whole number up to this one


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


def percentiles(
    statistics: Mapping[str, Statistic],
    data: Floats,
    drawn: Iterable[Weights],
    *,
    confidence: float,
) -> dict[str, Estimate]:
    """Estimate statistics with percentile intervals from given weights; none where the value is missing in a draw.

    Args:
        statistics: Formulas of sums of whole numbers, by name.
        data: The weights that stand for the data as they are, (groups,).
        drawn: The weights of the draws in parts, (draws, groups) each; a draw sums to what ``data`` sums to.
        confidence: Level of the intervals, in (0, 1).

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
            confidence,
            each.undefined,
        )
        for name, each in statistics.items()
    }


def _evaluator(statistics: Mapping[str, Statistic], taken: int) -> Callable[[Weights], dict[str, Floats]]:
    """Make a function from weights to the values of all statistics, which makes their common sums once.

    Sums of whole numbers are exact in any order, so that no value depends on what is estimated beside it.
    """
    sums_of = {name: each.sums for name, each in statistics.items() if each.sums}
    assert sums_of.keys() == statistics.keys()
    narrow = {name: each for name, each in sums_of.items() if each.totals.shape[1] <= NARROW}
    product = _product([each.totals for each in narrow.values()], taken) if narrow else None
    wide: dict[bytes, list[str]] = {}
    for name, each in sums_of.items():
        if name not in narrow:
            wide.setdefault(_content(each.totals), []).append(name)

    def evaluate(weights: Weights) -> dict[str, Floats]:
        found: dict[str, list[Floats]] = {name: [] for name in statistics}
        if product:
            for (name, each), sums in zip(narrow.items(), product(weights), strict=True):
                found[name].append(each.formula(sums))
        for start in range(0, len(weights), CHUNK) if wide else ():
            chunk = weights[start : start + CHUNK].astype(np.float64)
            for names in wide.values():
                sums = chunk @ sums_of[names[0]].totals
                for name in names:
                    found[name].append(sums_of[name].formula(sums))
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


def _content(totals: Totals) -> bytes:
    """Equal for equal sums."""
    parts = [totals] if isinstance(totals, np.ndarray) else [totals.data, totals.indices, totals.indptr]
    return b"".join(part.tobytes() for part in parts)


def _summary(value: float, drawn: Floats, confidence: float, undefined: str) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None, undefined)
    if missing := int(np.isnan(drawn).sum()):
        return Estimate(value, None, None, f"no interval: in {missing:,} of {len(drawn):,} draws, {undefined}")
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    if low == high:
        return Estimate(value, None, None, ALL_ALIKE)
    return Estimate(value, float(low), float(high), None)
