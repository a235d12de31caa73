"""Means of unbounded numbers and ratios of them, as statistics; means of numbers in [0, 1] are shares."""

import numpy as np
import polars as pl

from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.jackknife import smooth
from cascade_equivalence.stats.statistic import Statistic


def mean(clusters: Clusters, values: Floats, undefined: str) -> Statistic:
    """Mean over the rows that have a value.

    Args:
        clusters: The group of each row.
        values: A number a row, (rows,); NaN or infinite where there is none.
        undefined: Why there may be no row with a value.
    """
    there = np.isfinite(values)
    return ratio(clusters, np.where(there, values, 0.0), there.astype(float), undefined)


def ratio(clusters: Clusters, top: Floats, bottom: Floats, undefined: str) -> Statistic:
    """Ratio of two sums over the rows, with the interval of the jackknife over groups.

    Args:
        clusters: The group of each row.
        top: What is summed above the line, (rows,).
        bottom: What is summed below it, (rows,). Its sum must lie well off 0: see ``is_off_zero``.
        undefined: Why the sum below the line may be 0.
    """
    above, below = clusters.totals(top), clusters.totals(bottom)

    def of(weights: Floats) -> Floats:
        rows = weights @ below
        return np.divide(weights @ above, rows, out=np.full(len(weights), np.nan), where=rows != 0)

    return smooth(of, clusters.count, undefined, rests_on=int(np.count_nonzero(below)))


def is_off_zero(clusters: Clusters, values: Floats, times: float) -> bool:
    """Whether a mean lies so many of its standard errors over groups above 0: what may stand below a ratio's line.

    A ratio whose denominator may be nothing has no interval of finite length at any high level (Fieller 1954).
    """
    totals = clusters.totals(values)
    spread = float(np.sqrt(len(totals) * totals.var(ddof=1))) if len(totals) > 1 else np.inf
    return float(totals.sum()) > times * spread


def numbers(values: pl.Series) -> Floats:
    """A column as an array, NaN where it is null."""
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
