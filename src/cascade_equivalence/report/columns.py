"""Columns of tidy tables."""

from collections.abc import Mapping
from typing import Any

import polars as pl

Schema = dict[str, type[pl.DataType]]
PLACE: Schema = {
    "task": pl.String,
    "condition": pl.String,
    "noise": pl.String,
    "snr_db": pl.Float64,
    "rt60_ms": pl.Float64,
}
"""Task, and what the audio went through: the condition's name, the kind of noise (null on clean speech), and its level:
a signal-to-noise ratio, or a room's reverberation time."""


def estimate(name: str) -> Schema:
    """A value and the ends of its interval."""
    return {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64}


def spread(name: str, found: Mapping[str, Any]) -> dict[str, float | None]:
    """An estimate as its three columns."""
    return {name: found["value"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
