"""Whether a study on the paper's own systems finds the paper's numbers: counts, and the order of Figure 1's rows."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from scipy import stats

from cascade_equivalence.config.mechanism import BASELINE
from cascade_equivalence.report.columns import Schema
from cascade_equivalence.report.comparison import NO, SAME, STAND_IN
from cascade_equivalence.report.display import NOT_RUN, Display, decimal
from cascade_equivalence.report.paper_numbers import EQUALS, STATISTICS

REPLICATION: Schema = {
    "count": pl.String,
    "title": pl.String,
    "of": pl.Int64,
    "agree": pl.Int64,
    "kendall": pl.Float64,
    "kendall_p": pl.Float64,
    "spearman": pl.Float64,
    "stand_ins": pl.Int64,
    "note": pl.String,
}
"""One row a count: of so many numbers of the paper's own systems, how many agree. ``stand_ins``: how many numbers of
stand-ins could have been asked the same, which are set beside and not judged."""
CAPTION = re.compile("\N{PLUS-MINUS SIGN}([0-9.]+)\N{EN DASH}([0-9.]+)")
FEWEST = 3
Row = Mapping[str, Any]


@dataclass
class Count:
    """How many numbers were asked something, and of how many it is so."""

    asked: list[bool] = field(default_factory=list)
    beside: int = 0

    def add(self, row: Row, *, agrees: bool) -> None:
        """Ask it of one number; of a stand-in's it is not asked."""
        if row["applies"] == SAME:
            self.asked.append(agrees)
        else:
            self.beside += 1


def replication(comparison: pl.DataFrame) -> pl.DataFrame:
    """Count what a study reproduces.

    Args:
        comparison: What ``comparison`` gives.

    Returns:
        Table with the columns ``REPLICATION``.
    """
    there = [row for row in comparison.iter_rows(named=True) if row["applies"] != NO and row["ours"] is not None]
    found, ours, theirs, signs = Count(), Count(), Count(), Count()
    for row in there:
        found.add(row, agrees=True)
        if row["ours_low"] is not None and row["relation"] == EQUALS:
            ours.add(row, agrees=row["ours_low"] <= row["paper"] <= row["ours_high"])
        if (limits := papers_limits(row)) is not None:
            theirs.add(row, agrees=limits[0] <= row["ours"] <= limits[1])
    for one, paper, mine in _directions(there):
        signs.add(one, agrees=(paper > 0) == (mine > 0) and (paper < 0) == (mine < 0))
    results = sum(not STATISTICS[name].design for name in comparison["statistic"])
    rows = [
        _row("numbers", "Numbers with a counterpart", found, f"of {comparison.height}, {results} of them results"),
        _row("in_ours", "The paper's number lies in this study's interval", ours),
        _row(
            "in_papers",
            "This study's number lies in the paper's interval",
            theirs,
            "Figure 1: the wider of the half-widths that its caption gives, where no other interval is printed",
        ),
        _row("direction", "The same direction", signs, "differences, losses, and falls under erasure"),
        _order(there),
    ]
    return pl.DataFrame(rows, schema=REPLICATION, orient="row")


def papers_limits(row: Row) -> tuple[float, float] | None:
    """The paper's interval of a number: printed, a bound, or as wide as Figure 1's caption says; None without one."""
    if row["paper_low"] is not None:
        return row["paper_low"], row["paper_high"]
    if row["relation"] in "<>":
        return (float("-inf"), row["paper"]) if row["relation"] == "<" else (row["paper"], float("inf"))
    width = CAPTION.search(row["interval_note"] or "")
    return None if width is None else (row["paper"] - float(width[2]), row["paper"] + float(width[2]))


def _row(name: str, title: str, count: Count, note: str | None = None) -> dict[str, Any]:
    shown = {"count": name, "title": title, "of": len(count.asked), "agree": sum(count.asked)}
    return shown | {"stand_ins": count.beside, "note": note}


def _directions(there: Sequence[Row]) -> Iterator[tuple[Row, float, float]]:
    """Numbers with a sign, the paper's and the study's; of an erasure the fall from nothing erased."""
    key = ("place", "model", "task", "statistic")
    base = {tuple(row[name] for name in key): row for row in there if row["concept"] == BASELINE}
    for row in there:
        if STATISTICS[row["statistic"]].signed:
            yield row, row["paper"], row["ours"]
        elif row["statistic"] == "accuracy" and row["concept"] not in (None, BASELINE):
            start = base.get(tuple(row[name] for name in key))
            if start is not None:
                yield row, row["paper"] - start["paper"], row["ours"] - start["ours"]


def _order(there: Sequence[Row]) -> dict[str, Any]:
    """The rows of Figure 1 by their mean kappa, over the tasks that all of them have."""
    cells: dict[tuple[str, str], dict[str, Row]] = {}
    stand_ins = set()
    for row in there:
        if row["place"] == "Figure 1" and row["statistic"] == "kappa":
            pair = row["system"], row["reference"]
            if row["applies"] == STAND_IN:
                stand_ins.add(pair)
            else:
                cells.setdefault(pair, {})[row["task"]] = row
    tasks = set.intersection(*map(set, cells.values())) if cells else set()
    made = {"count": "order", "title": "Order of Figure 1's rows by mean κ", "stand_ins": len(stand_ins)}
    if len(cells) < FEWEST or not tasks:
        return made | {
            "of": len(cells),
            "note": f"fewer than {FEWEST} rows of the paper's own systems on the same tasks",
        }
    paper, ours = (
        [sum(mine[task][whose] for task in sorted(tasks)) / len(tasks) for mine in cells.values()]
        for whose in ("paper", "ours")
    )
    tau, rho = stats.kendalltau(paper, ours), stats.spearmanr(paper, ours)
    ranks = {"kendall": _number(tau.statistic), "kendall_p": _number(tau.pvalue), "spearman": _number(rho.statistic)}
    return made | {"of": len(cells), **ranks, "note": f"over {len(tasks)} tasks"}


def _number(value: float) -> float | None:
    return None if value != value else float(value)  # noqa: PLR0124 - not a number where all are tied


def sentence(table: pl.DataFrame) -> str:
    """What the counts say, in one sentence."""
    rows = {row["count"]: row for row in table.iter_rows(named=True)}
    numbers, beside = rows["numbers"]["of"], rows["numbers"]["stand_ins"]
    others = f"{beside} numbers are set beside those of stand-ins, which are not judged"
    if not numbers:
        none = "This study has none of the paper's own systems on its items, so it cannot replicate the paper's numbers"
        return f"{none}; {others}." if beside else f"{none}."
    order = rows["order"]
    ranked = "the order of Figure 1's rows cannot be told"
    if order["kendall"] is not None:
        ranked = f"Figure 1's {order['of']} rows have Kendall's τ = {decimal(order['kendall'])} with the paper's order"
    told = (
        f"Of the paper's numbers that this study has of the same systems ({numbers}), {_share(rows['in_ours'])} lie in "
        f"its intervals, {_share(rows['in_papers'])} of its own lie in the paper's, {_share(rows['direction'])} go the "
        f"same way, and {ranked}"
    )
    return f"{told}; {others}." if beside else f"{told}."


def _share(row: Row) -> str:
    return f"{row['agree']} of {row['of']}"


def display(table: pl.DataFrame) -> Display:
    """The counts as a reader sees them."""
    rows = [
        [
            row["title"],
            NOT_RUN if not row["of"] or row["agree"] is None else _share(row),
            "" if row["kendall"] is None else f"{decimal(row['kendall'])} / {decimal(row['spearman'])}",
            str(row["stand_ins"]),
            row["note"] or "",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="replication",
        title="Does this study reproduce the paper's numbers?",
        columns=[
            "Of the paper's own systems",
            "So many",
            "Kendall's τ / Spearman's rank correlation",
            "Set beside, not judged",
            "Note",
        ],
        rows=rows,
        remarks=[
            "Counted over all numbers of the paper, which prints some more than once. That the paper's number lies in "
            "a wide interval is easy, and that this study's lies in a narrow one hard: neither count is a test.",
            "Set beside, not judged: numbers of stand-ins, which are other models or answer other items.",
        ],
        text_columns=1,
    )
