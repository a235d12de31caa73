"""The mean of an unbounded number a row, as a statistic; means of numbers in [0, 1] are shares."""

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
    top, bottom = clusters.totals(np.where(there, values, 0.0)), clusters.totals(there)

    def of(weights: Floats) -> Floats:
        rows = weights @ bottom
        return np.divide(weights @ top, rows, out=np.full(len(weights), np.nan), where=rows != 0)

    return smooth(of, clusters.count, undefined, rests_on=int(np.count_nonzero(bottom)))


def numbers(values: pl.Series) -> Floats:
    """A column as an array, NaN where it is null."""
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
