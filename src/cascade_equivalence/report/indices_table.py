"""Other indices of agreement beside kappa, and how much wider the intervals of whole texts are than those of clips."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import Schema, estimate, spread
from cascade_equivalence.report.display import UNDEFINED, Display, decimal, interval, percent
from cascade_equivalence.report.naming import task_title

BY_ROWS = ("kappa", "observed_agreement")
INDICES = {"kappa_max": "kappa max", "pabak": "PABAK", "ac1": "AC1"}
SCHEMA: Schema = {
    **estimate("kappa"),
    **estimate("kappa_max"),
    "share_of_max": pl.Float64,
    **estimate("pabak"),
    **estimate("ac1"),
    **estimate("observed_agreement"),
    **{f"{name}_{column}": pl.Float64 for name in BY_ROWS for column in ("by_rows_low", "by_rows_high", "width_ratio")},
    "same_as_clusters": pl.Boolean,
    "indices_reason": pl.String,
}


def row(found: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one pair on one task in one condition.

    Args:
        found: Its agreement node: ``kappa``, ``observed_agreement``, ``indices``, ``by_rows``.

    Returns:
        The columns of ``SCHEMA``. ``share_of_max``: kappa over kappa max, None where kappa max is 0 or missing.
        ``*_width_ratio``: width of the interval of whole texts over that of rows, None where either has no width; its
        square is the design effect. ``indices_reason``: why indices are missing.
    """
    kappa, indices, by_rows = found["kappa"], found["indices"], found["by_rows"]
    largest = indices["kappa_max"]["value"]
    columns = {"kappa": kappa, "observed_agreement": found["observed_agreement"]} | {
        name: indices[name] for name in INDICES
    }
    reasons: dict[str, list[str]] = {}
    for name, title in INDICES.items():
        if reason := indices[name]["reason"]:
            reasons.setdefault(reason, []).append(title)
    return {
        **{key: value for name, each in columns.items() for key, value in spread(name, each).items()},
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
        "same_as_clusters": by_rows["same_as_clusters"],
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
            _ratio(each["kappa_width_ratio"], same=each["same_as_clusters"]),
            interval(each["kappa_max"], each["kappa_max_low"], each["kappa_max_high"]),
            percent(each["share_of_max"]),
            *(interval(each[name], each[f"{name}_low"], each[f"{name}_high"]) for name in ("pabak", "ac1")),
            percent(each["observed_agreement"]),
            _ratio(each["observed_agreement_width_ratio"], same=each["same_as_clusters"]),
        ]
        for each in shown.iter_rows(named=True)
    ]
    reasons = dict.fromkeys(part for reason in shown["indices_reason"].drop_nulls() for part in reason.split("; "))
    return Display(
        name="indices",
        title="Agreement by other indices, and by other draws",
        columns=[
            "Pair",
            "Task",
            "Clips (texts)",
            f"κ [{confidence:.0%}, texts drawn]",
            "[clips drawn]",
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
            "Clips drawn: the paper's way, as if the voices of one text were independent. All other intervals here "
            "draw whole texts. Width ratio is how many times wider that makes an interval; its square, the design "
            "effect, is how many clips say as much as one independent clip.",
            *(["Same: every text has one clip, so both draws are one."] if shown["same_as_clusters"].any() else []),
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


def _ratio(ratio: float | None, *, same: bool) -> str:
    if ratio is None:
        return UNDEFINED
    return "same" if same else f"{ratio:.1f}"
