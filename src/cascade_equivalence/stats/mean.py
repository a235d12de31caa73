"""The mean of a number a row, as a statistic."""

import numpy as np
import polars as pl

from cascade_equivalence.stats.bootstrap import Clusters, Floats, Statistic, ratio


def mean(clusters: Clusters, values: Floats, undefined: str) -> Statistic:
    """Mean over the rows that have a value.

    Args:
        clusters: The group of each row.
        values: A number a row, (rows,); NaN or infinite where there is none.
        undefined: Why there may be no row with a value.
    """
    there = np.isfinite(values)
    return ratio(clusters.totals(np.where(there, values, 0.0)), clusters.totals(there), undefined)


def numbers(values: pl.Series) -> Floats:
    """A column as an array, NaN where it is null."""
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
