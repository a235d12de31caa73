"""Columns that many tidy tables share: what a row is about, and an estimate with its interval."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import parse_condition

if TYPE_CHECKING:
    from cascade_equivalence.report.naming import NodeFile

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
PAIR: Schema = {
    "pair": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "system_kind": pl.String,
    "reference_kind": pl.String,
    "match": pl.String,
    **PLACE,
    "rows": pl.Int64,
    "groups": pl.Int64,
}
"""What every table of pairs begins with: one row a pair, task and condition."""


ENDS = ("", "_low", "_high")
"""What the names of a value and of the ends of its interval end in."""


def estimate_schema(name: str) -> Schema:
    """A value and the ends of its interval."""
    return {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64}


def estimate_values(name: str, found: Mapping[str, Any]) -> dict[str, float | None]:
    """An estimate as its three columns."""
    return {name: found["value"], f"{name}_low": found["low"], f"{name}_high": found["high"]}


def place_values(node: "NodeFile") -> dict[str, Any]:
    """Task and condition of a node, as the columns of ``PLACE``."""
    known = parse_condition(node.condition)
    level = {"noise": known.kind, "snr_db": known.snr_db, "rt60_ms": known.rt60_ms}
    return {"task": node.task, "condition": node.condition, **level}
