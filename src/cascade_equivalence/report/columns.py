"""Columns that many tidy tables share: what a row is about, and an estimate with its interval."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import polars as pl

from cascade_equivalence.conditions import parse_condition

if TYPE_CHECKING:
    from cascade_equivalence.stats.numbers import Number

Schema = dict[str, type[pl.DataType]]
Numbers: TypeAlias = "Mapping[str, Number]"
"""What a comparison found, by the names of the statistics."""
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


def place_values(task: str, condition: str) -> dict[str, Any]:
    """Task and condition, as the columns of ``PLACE``."""
    known = parse_condition(condition)
    level = {"noise": known.kind, "snr_db": known.snr_db, "rt60_ms": known.rt60_ms}
    return {"task": task, "condition": condition, **level}


class PairColumn(NamedTuple):
    """A column of a table of comparisons: its type, and what stands in it."""

    kind: type[pl.DataType]
    read: Callable[[Numbers], Any]


def number(statistic: str, end: str = "value") -> PairColumn:
    """A statistic's value, or its ``low`` or ``high`` end."""
    return PairColumn(pl.Float64, lambda found: getattr(found[statistic], end))


def count(statistic: str) -> PairColumn:
    """A statistic that counts."""
    return PairColumn(pl.Int64, lambda found: None if (value := found[statistic].value) is None else int(value))


def flag(statistic: str) -> PairColumn:
    """A statistic that says whether."""
    return PairColumn(pl.Boolean, lambda found: None if (value := found[statistic].value) is None else bool(value))


def text(statistic: str) -> PairColumn:
    """A statistic in words."""
    return PairColumn(pl.String, lambda found: found[statistic].text)


def reason(statistic: str) -> PairColumn:
    """Why a statistic has no value or no interval."""
    return PairColumn(pl.String, lambda found: found[statistic].reason)


SIZE = {"rows": count("rows"), "groups": count("groups")}
"""How many clips and texts a comparison has."""


def later(kind: type[pl.DataType]) -> PairColumn:
    """A column that the table's ``build`` fills."""
    return PairColumn(kind, lambda _: None)


def estimate(name: str, statistic: str | None = None) -> dict[str, PairColumn]:
    """A statistic with the ends of its interval, in three columns; of the same name if no other is given."""
    ends = zip(ENDS, ("value", "low", "high"), strict=True)
    return {f"{name}{end}": number(statistic or name, part) for end, part in ends}
