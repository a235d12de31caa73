"""The paper's numbers beside the study's, as a reader sees them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from cascade_equivalence.report.comparison import NO, SAME, STAND_IN
from cascade_equivalence.report.comparison_study import NAMED
from cascade_equivalence.report.display import MINUS, UNDEFINED, Display
from cascade_equivalence.report.mechanism_names import PROBE_TITLES, concept_title
from cascade_equivalence.report.naming import condition_title, task_title
from cascade_equivalence.report.paper_numbers import EQUALS, IMPLICIT, SCALES, STATISTICS, decimals, parts

ABOUT_THE_SAME = ["statistic", "aggregate", "system", "reference", "second_reference", "model", "task", "condition"]
ABOUT_THE_SAME += ["layer", "layer_to", "concept", "relation"]
CELLS = ("Table", "Figure 1")
"""Places whose numbers are cells, not running text."""
ROUNDING = 1e-9
REASONS_SHOWN = 5


def display(table: pl.DataFrame, confidence: float) -> Display:
    """The paper's numbers that this study has a counterpart of; what the paper says twice stands once.

    Args:
        table: What ``comparison`` gives.
        confidence: Level of the study's intervals.
    """
    there = table.filter(pl.col("applies") != NO)
    rows = [
        [
            row["place"],
            _what(row),
            _who(row),
            _where(row),
            _printed(row),
            _number(row, "ours"),
            UNDEFINED if row["difference"] is None else _places(row["difference"], row, signed=True),
            _judged(row),
        ]
        for row in _once(there)
    ]
    columns = ["Place", "Number", "Of", "On", "Paper", f"This study [{confidence:.0%}]", "Difference", "Within"]
    return Display(
        name="comparison",
        title="The paper's numbers beside this study's",
        columns=columns,
        rows=rows,
        remarks=[
            f"{there.height} of the paper's {table.height} numbers have a counterpart in this study; what the paper "
            "says more than once is shown once. All are in comparison.csv, those without one with the reason.",
            *who_is_whom(there),
            "Within: whether this study's number lies in the paper's interval, where the paper gives one, or on the "
            "side of the bound that it gives; of stand-ins it is not asked.",
            *_missing(table),
        ],
        text_columns=4,
    )


def _once(there: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows without what the running text repeats from tables and figures, as far as it gives the same number.

    Cells of the tables all stay: some of them are of the same name but of other items.
    """
    told: dict[tuple[Any, ...], list[float]] = {}
    for row in there.iter_rows(named=True):
        value, half = (
            size / SCALES.get(row["unit"], 1.0) for size in (row["paper"], 0.5 * 0.1 ** decimals(row["printed"]))
        )
        before = told.setdefault(tuple(row[name] for name in ABOUT_THE_SAME), [])
        if row["place"].startswith(CELLS) or all(abs(value - other) > half + ROUNDING for other in before):
            yield row
        before.append(value)


def _what(row: Mapping[str, Any]) -> str:
    concept = ""
    if row["concept"] is not None:
        erased = row["statistic"] not in ("probe_r2", "text_decodability", "erased_dimensions")
        concept = f", {PROBE_TITLES.get(row['concept']) or concept_title(row['concept'])}{' erased' if erased else ''}"
    aggregate = "" if row["aggregate"] is None else f", {row['aggregate']}"
    return f"{STATISTICS[row['statistic']].title or row['statistic']}{concept}{aggregate}"


def _who(row: Mapping[str, Any]) -> str:
    if row["model"] is not None:
        return " and ".join(parts(row["model"]))
    system = ", ".join(parts(row["system"]))
    if row["system"] == IMPLICIT:
        return f"{system} of {row['reference']}"
    against = " rather than ".join(filter(None, (row["reference"], row["second_reference"])))
    return f"{system} vs. {against}" if against else system


def _where(row: Mapping[str, Any]) -> str:
    tasks = ", ".join(map(task_title, parts(row["task"])))
    noise = "" if row["condition"] in (None, "clean") else condition_title(row["condition"])
    layer = ""
    if row["layer"] is not None:
        layer = f"layer {row['layer']}" + ("" if row["layer_to"] is None else f" to {row['layer_to']}")
        if row["ours_layer"] not in (None, row["layer"]) and row["layer_to"] is None:
            layer += f" (here {row['ours_layer']})"
    return ", ".join(filter(None, (tasks, noise, layer)))


def _printed(row: Mapping[str, Any]) -> str:
    ends = ("paper_low", "paper_high")
    interval = "" if row["paper_low"] is None else f" [{', '.join(_places(row[end], row) for end in ends)}]"
    relation = "" if row["relation"] == EQUALS else row["relation"]
    return f"{relation}{_places(row['paper'], row)}{interval}"


def _number(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return UNDEFINED
    ends = (row[f"{name}_low"], row[f"{name}_high"])
    interval = "" if None in ends else f" [{', '.join(_places(end, row) for end in ends)}]"
    return f"{_places(row[name], row)}{interval}"


def _places(value: float, row: Mapping[str, Any], *, signed: bool = False) -> str:
    """A number with as many decimals as the paper gives."""
    places = decimals(row["printed"])
    # Adding zero turns a rounded -0.0 into 0.0.
    rounded = round(value, places) + 0.0
    sign = "+" if signed and rounded else ""
    return f"{rounded:{sign},.{places}f}".replace("-", MINUS)


def _judged(row: Mapping[str, Any]) -> str:
    if row["applies"] == STAND_IN:
        return STAND_IN
    return "" if row["within"] is None else "yes" if row["within"] else "no"


def who_is_whom(there: pl.DataFrame) -> list[str]:
    """Who of this study is, or stands in for, whom of the paper, one remark each.

    Args:
        there: Rows of the comparison that apply.
    """
    found: dict[str, set[tuple[str, str]]] = {SAME: set(), STAND_IN: set()}
    for row in there.iter_rows(named=True):
        for column in NAMED:
            pairs = zip(parts(row[f"ours_{column}"]), parts(row[column]), strict=True)
            found[row["applies"]] |= {pair for pair in pairs if pair[1] != IMPLICIT}
    remarks = []
    if same := sorted(found[SAME]):
        remarks.append(f"The paper's own: {', '.join(f'{ours} ({theirs})' for ours, theirs in same)}.")
    if others := sorted(found[STAND_IN] - found[SAME]):
        listed = ", ".join(f"{ours} for {theirs}" for ours, theirs in others)
        remarks.append(
            f"Stand-ins: {listed}. A stand-in is another model or answers other items, so a difference is no failure "
            "to reproduce the paper, and a likeness no success."
        )
    return remarks


def _missing(table: pl.DataFrame) -> list[str]:
    counts = Counter(table.filter(applies=NO)["why_not"])
    if not counts:
        return []
    common = [f"{reason} ({count})" for reason, count in counts.most_common(REASONS_SHOWN)]
    more = len(counts) - len(common)
    return [f"Without a counterpart: {'; '.join(common)}{f'; and {more} other reasons' if more > 0 else ''}."]
