"""Other indices of agreement beside kappa, and how much wider the intervals of whole texts are than those of clips."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import PAIR, Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import UNDEFINED, Display, decimal, interval, percent
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.table import Table

BY_ROWS = ("kappa", "observed_agreement")
INDICES = {"kappa_max": "kappa max", "pabak": "PABAK", "ac1": "AC1"}
SCHEMA: Schema = {
    **estimate_schema("kappa"),
    "kappa_max": pl.Float64,
    "share_of_max": pl.Float64,
    **estimate_schema("pabak"),
    **estimate_schema("ac1"),
    **estimate_schema("observed_agreement"),
    **{f"{name}_{column}": pl.Float64 for name in BY_ROWS for column in ("by_rows_low", "by_rows_high", "width_ratio")},
    "indices_reason": pl.String,
}


def row(found: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one pair on one task in one condition.

    Args:
        found: Its agreement node: ``kappa``, ``observed_agreement``, ``indices``, ``by_rows``.

    Returns:
        The columns of ``SCHEMA``. ``share_of_max``: kappa over kappa max, None where kappa max is 0 or missing.
        ``*_width_ratio``: width of the interval of whole texts over that of rows, None where either has no width.
        ``indices_reason``: why indices are missing.
    """
    kappa, indices, by_rows = found["kappa"], found["indices"], found["by_rows"]
    largest = indices["kappa_max"]["value"]
    columns = {"kappa": kappa, "observed_agreement": found["observed_agreement"]}
    columns |= {name: indices[name] for name in INDICES if name != "kappa_max"}
    reasons: dict[str, list[str]] = {}
    for name, title in INDICES.items():
        if reason := indices[name]["reason"]:
            reasons.setdefault(reason, []).append(title)
    return {
        **{key: value for name, each in columns.items() for key, value in estimate_values(name, each).items()},
        "kappa_max": largest,
        "share_of_max": kappa["value"] / largest if largest and kappa["value"] is not None else None,
        **{
            f"{name}_{column}": value
            for name in BY_ROWS
            for column, value in (
                ("by_rows_low", by_rows[name]["low"]),
                ("by_rows_high", by_rows[name]["high"]),
                ("width_ratio", _width_ratio(found[name], by_rows[name])),
            )
        },
        "indices_reason": "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items()) or None,
    }


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a pair and task on clean speech."""
    shown = table.filter(pl.col("condition") == CLEAN)
    rows = [
        [
            f"{each['system']} vs. {each['reference']}",
            task_title(each["task"]),
            f"{each['rows']:,} ({each['groups']:,})",
            interval(each["kappa"], each["kappa_low"], each["kappa_high"]),
            _ends(each["kappa_by_rows_low"], each["kappa_by_rows_high"]),
            _ratio(each["kappa_width_ratio"]),
            decimal(each["kappa_max"]),
            percent(each["share_of_max"]),
            *(interval(each[name], each[f"{name}_low"], each[f"{name}_high"]) for name in ("pabak", "ac1")),
            percent(each["observed_agreement"]),
            _ratio(each["observed_agreement_width_ratio"]),
        ]
        for each in shown.iter_rows(named=True)
    ]
    reasons = dict.fromkeys(part for reason in shown["indices_reason"].drop_nulls() for part in reason.split("; "))
    return Display(
        name="indices",
        title="Agreement by other indices, and by the paper's intervals",
        columns=[
            "Pair",
            "Task",
            "Clips (texts)",
            f"κ [{confidence:.0%}]",
            "[paper's way: clips drawn]",
            "κ width ratio",
            "κ max",
            "κ / κ max %",
            "PABAK",
            "AC1",
            "Same answer %",
            "Same answer width ratio",
        ],
        rows=rows,
        remarks=[
            "κ max is the largest κ of two systems that give each answer as often as these do. Below 1, they favour "
            "different answers; at 0, no agreement beyond chance is possible, as where one always gives the same "
            "answer. κ / κ max is the share of it that is reached.",
            "PABAK is κ as if all answers were equally likely by chance; Gwet's AC1 takes chance agreement to be low "
            "where one answer prevails. Both count the labels of the task, and “invalid” if it occurs. Where they are "
            "high and κ is low, most answers are one and the same, and κ rests on the others.",
            "Clips drawn: percentiles of draws of clips, the paper's way, as if the voices of one text were "
            "independent. All other intervals count whole texts. Width ratio is how many times wider that makes "
            "an interval.",
            *(f"{UNDEFINED}: {reason}." for reason in reasons),
        ],
        text_columns=2,
    )


def _width_ratio(texts: Mapping[str, Any], rows: Mapping[str, Any]) -> float | None:
    if texts["low"] is None or rows["low"] is None:
        return None
    wide, narrow = texts["high"] - texts["low"], rows["high"] - rows["low"]
    return wide / narrow if wide > 0 and narrow > 0 else None


def _ends(low: float | None, high: float | None) -> str:
    return UNDEFINED if low is None else f"[{decimal(low)}, {decimal(high)}]"


def _ratio(ratio: float | None) -> str:
    return UNDEFINED if ratio is None else f"{ratio:.1f}"


TABLE = Table(
    name="indices",
    section="agreement",
    schema=PAIR | SCHEMA,
    row=row,
    display=lambda tables, confidence: display(tables.indices, confidence),
)
