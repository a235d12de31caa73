"""Every number of the paper beside the study's: value, difference, and why there is none (results/comparison.csv)."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.comparison_lookup import Lookup, subjects
from cascade_equivalence.report.comparison_study import NAMED, Absent, Found, PaperView
from cascade_equivalence.report.paper_numbers import ABOVE, BELOW, HIGHEST, LOWEST, NUMBERS, SCALES, STATISTICS
from cascade_equivalence.report.tables import Tables

SAME, STAND_IN, NO = "same", "stand-in", "no"
NOTHING_NAMED = "does not apply to this study: it names none of the paper's systems or models"
DESIGNED = "a number of the paper's design, not a result"
ANOTHER = "stand-in: another model, or other items"
COMPARISON: Schema = {
    **{name: kind for name, kind in NUMBERS.items() if name not in ("value", "low", "high")},
    **estimate_schema("paper"),
    "ours_system": pl.String,
    "ours_reference": pl.String,
    "ours_second_reference": pl.String,
    "ours_model": pl.String,
    "ours_layer": pl.Int64,
    **estimate_schema("ours"),
    "difference": pl.Float64,
    "within": pl.Boolean,
    "paper_within_ours": pl.Boolean,
    "applies": pl.String,
    "why_not": pl.String,
}
"""A number of the paper, the study's in the same unit, and ours minus the paper's. ``within``: ours lies in the paper's
interval, or on the side of a bound that the paper says; ``paper_within_ours``: the other way round. Both are null
for stand-ins, of which neither is asked."""


def comparison(numbers: pl.DataFrame, tables: Tables, paper: PaperConfig | None) -> pl.DataFrame:
    """Set the study's numbers beside the paper's.

    Args:
        numbers: The paper's, with the columns ``NUMBERS``.
        tables: The study's tidy tables.
        paper: Which systems and models of the study are the paper's or stand in for them.

    Returns:
        Table with the columns ``COMPARISON``, one row a number of the paper, in its order. ``applies`` says whether the
        study's number is of the ``same`` systems, of a ``stand-in``, or ``no`` counterpart; then ``why_not`` says why.
    """
    view = PaperView.of(tables, paper or PaperConfig())
    lookup = Lookup(view)
    rows = [_row(row, view, lookup) for row in numbers.iter_rows(named=True)]
    return pl.DataFrame(rows, schema=COMPARISON, orient="row")


def _row(row: Mapping[str, Any], view: PaperView, lookup: Lookup) -> dict[str, Any]:
    shown = {name: row[name] for name in NUMBERS if name not in ("value", "low", "high")}
    shown |= {"paper": row["value"], "paper_low": row["low"], "paper_high": row["high"]}
    if not view.systems and not view.models:
        return shown | {"applies": NO, "why_not": NOTHING_NAMED}
    if STATISTICS[row["statistic"]].design:
        return shown | {"applies": NO, "why_not": DESIGNED}
    try:
        found = _found(row, view, lookup).times(SCALES.get(row["unit"], 1.0))
    except Absent as absent:
        return shown | {"applies": NO, "why_not": str(absent)}
    value, low, high = found.value, found.low, found.high
    same = view.is_own(row)
    return shown | {
        **{f"ours_{column}": view.ours(column, row[column]) for column in NAMED},
        "ours_layer": found.layer,
        "ours": value,
        "ours_low": low,
        "ours_high": high,
        "difference": None if value is None else value - row["value"],
        "within": _within(row, value) if same else None,
        "paper_within_ours": low <= row["value"] <= high if same and low is not None and high is not None else None,
        "applies": SAME if same else STAND_IN,
        "why_not": found.reason if value is None else None if same else ANOTHER,
    }


def _found(row: Mapping[str, Any], view: PaperView, lookup: Lookup) -> Found:
    """The study's number: one, or the lowest, highest or mean of several."""
    found = [lookup.found(row["statistic"], subject) for subject in subjects(row, view)]
    aggregate = row["aggregate"]
    if aggregate is None:
        (one,) = found
        return one
    if (undefined := next((each for each in found if each.value is None), None)) is not None:
        return undefined
    values = [float(each.value) for each in found if each.value is not None]
    if aggregate in (LOWEST, HIGHEST):
        value = min(values) if aggregate == LOWEST else max(values)
        layer = found[values.index(value)].layer
        return Found(value, layer=layer)
    return Found(sum(values) / len(values))


def _within(row: Mapping[str, Any], value: float | None) -> bool | None:
    if value is None:
        return None
    if row["relation"] == BELOW:
        return value < row["value"]
    if row["relation"] == ABOVE:
        return value > row["value"]
    if row["low"] is None or row["high"] is None:
        return None
    return row["low"] <= value <= row["high"]
