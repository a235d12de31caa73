"""Columns of tidy tables."""

import polars as pl

Schema = dict[str, type[pl.DataType]]


def estimate(name: str) -> Schema:
    """A value and the ends of its interval."""
    return {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64}
