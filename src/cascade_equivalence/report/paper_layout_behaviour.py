"""The paper's tables on what systems do, in its own layout: its Tables 1, 2, 3 and 6."""

import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.report.comparison_lookup import by_key
from cascade_equivalence.report.display import MARKS, MINUS, NOT_RUN, UNDEFINED, mark_legend, percent
from cascade_equivalence.report.naming import API, CASCADE, E2E, in_order, short_title, task_title
from cascade_equivalence.report.paper_layout_table import Beside, Cell, LayoutRow, PaperTable, RowGroup, paper_table
from cascade_equivalence.report.paper_numbers import IMPLICIT
from cascade_equivalence.report.shared_errors import ASR, LLM
from cascade_equivalence.report.system_tables import made_of
from cascade_equivalence.report.tables import Tables

TYPES = {CASCADE: "Cascade", E2E: "End-to-end", API: "End-to-end (API)", "implicit": IMPLICIT}
MATCHED = "Matched cascade"
ABRIDGED = 60
"""Characters of a spoken text in Table 3."""


def classified(table: pl.DataFrame) -> list[str]:
    """The columns of the paper's Tables 2 and 7: tasks with a closed set of answers, the paper's and a tidy table's."""
    papers = [task.name for task in TASKS.values() if task.asked]
    return [task for task in in_order([*papers, *table["task"]]) if not _is_open(task)]


def _is_open(task: str) -> bool:
    return task in TASKS and not TASKS[task].labels


def table1(tables: Tables, sizes: Mapping[str, str] = MappingProxyType({})) -> PaperTable:
    """Systems: one row a system, with its type, parts and sizes (paper's Table 1).

    Args:
        tables: The tidy tables.
        sizes: By system, how many parameters its models have; those of others are not known.
    """
    exact = tables.agreement.filter(match="exact")
    matched = {
        cascade
        for cascade, other in (("system", "reference"), ("reference", "system"))
        for cascade in exact.filter((pl.col(f"{other}_kind") == E2E) & (pl.col(f"{cascade}_kind") == CASCADE))[cascade]
    }
    rows: list[LayoutRow] = []
    for row in tables.accuracy.unique("system", keep="first", maintain_order=True).iter_rows(named=True):
        is_matched = row["system"] in matched
        made = made_of(row, " → ")
        kind = MATCHED if is_matched else TYPES.get(row["kind"], row["kind"])
        rows.append([row["system"], kind, f"{made} †" if is_matched else made, sizes.get(row["system"], NOT_RUN)])
    return paper_table(
        "table1",
        "Systems evaluated (Table 1 of the paper)",
        ["System", "Type", "Parts", "Params"],
        [RowGroup("", rows)],
        [
            *(
                ["† Matched-backbone cascades share the LLM with a speech LLM that they are compared with."]
                * bool(matched)
            ),
            f"Params: parameters as the registry of models has them ({NOT_RUN}: not known there, or behind an API).",
        ],
        text_columns=4,
    )


def table2(tables: Tables, beside: Beside) -> PaperTable:
    """Accuracy: one row a system, one column a classification task (paper's Table 2)."""
    found = {(row["system"], row["task"]): row for row in tables.accuracy.iter_rows(named=True)}
    systems = tables.accuracy["system"].unique(maintain_order=True).to_list()

    def cell(system: str, task: str) -> Cell:
        row = found.get((system, task))
        if row is None:
            return Cell()
        paper = beside.number("Table 2", "accuracy", system=system, task=task)
        return Cell(percent(row["accuracy"]), MARKS[row["against_chance"]], paper)

    tasks = classified(tables.accuracy)
    rows: list[LayoutRow] = [[system, *(cell(system, task) for task in tasks)] for system in systems]
    answered = {
        task: [f"{system} {cell(system, task).text}" for system in systems if (system, task) in found]
        for task in in_order(tables.accuracy["task"].unique())
        if _is_open(task)
    }
    marked = [part.text for row in rows for part in row if isinstance(part, Cell)]
    return paper_table(
        "table2",
        "System accuracy (%) on clean audio, classification tasks (Table 2 of the paper)",
        ["System", *map(short_title, tasks)],
        [RowGroup("", rows)],
        [
            *(f"{task_title(task)} accuracy (open-ended): {', '.join(each)}." for task, each in answered.items()),
            *beside.remarks("Table 2"),
            *mark_legend(marked),
        ],
    )


def table3(tables: Tables, shared_errors: pl.DataFrame, beside: Beside) -> PaperTable:
    """Shared errors: one row an example on which both systems give the same wrong answer (paper's Table 3).

    Args:
        tables: The tidy tables, for how often that happens.
        shared_errors: One row an example, with the columns of ``report.shared_errors``.
        beside: The paper's numbers.
    """
    pairs = list(shared_errors.select("system", "reference").unique(maintain_order=True).iter_rows())
    groups = []
    rates = []
    for system, reference in pairs:
        mine = shared_errors.filter(system=system, reference=reference)
        for task in in_order(mine["task"]):
            heading = f"{system} vs. {reference}: " if len(pairs) > 1 else ""
            rows: list[LayoutRow] = [
                [_input(row), str(row["gold"]), str(row["both"]), str(row["type"])]
                for row in mine.filter(task=task).iter_rows(named=True)
            ]
            groups.append(RowGroup(heading + task_title(task), rows))
        rates += _rates(tables, system, reference, beside)
    whom = f"{pairs[0][0]} and {pairs[0][1]}" if len(pairs) == 1 else "the two systems of a pair"
    return paper_table(
        "table3",
        f"Shared error examples: {whom} give the identical wrong answer (Table 3 of the paper)",
        ["Input (abridged)", "Gold", "Both", "Type"],
        groups,
        [
            f"{LLM}: the cascade read the words that were spoken. {ASR}: what it read, behind the arrow, has a word "
            "error, which need not be the cause.",
            *rates,
            *beside.remarks("Table 3"),
        ],
        text_columns=4,
        grouped_by="Task" if len(pairs) <= 1 else "Pair and task",
    )


def _input(row: Mapping[str, Any]) -> str:
    spoken, heard = row["spoken"], row["heard"]
    return _quoted(spoken) if heard is None or row["type"] == LLM else f"{_quoted(spoken)} → {_quoted(heard)}"


def _quoted(text: str) -> str:
    return f"“{textwrap.shorten(text, ABRIDGED, placeholder='…')}”"


def _rates(tables: Tables, system: str, reference: str, beside: Beside) -> list[str]:
    """How often both give the same wrong answer where both are wrong."""
    shown, found = [], by_key(tables, "pairs")
    for task in in_order(tables.agreement["task"]):
        row = found.get((system, reference, task, CLEAN))
        if row is None or row["overlap"] is None or not row["overlap_informative"]:
            continue
        paper = beside.number("Table 3", "overlap", system=system, reference=reference, task=task).removesuffix("%")
        shown.append(f"{task_title(task)} {Cell(percent(row['overlap']), '', paper).text}")
    return [f"{system} and {reference}, same answer where both err (%): {', '.join(shown)}."] if shown else []


def table6(tables: Tables, beside: Beside) -> PaperTable:
    """Sufficiency of the text that emerges: one row a task (paper's Table 6)."""
    table = tables.sufficiency
    trios = list(table.select("system", "implicit", "explicit").unique(maintain_order=True).iter_rows())
    groups = []
    for system, implicit, explicit in trios:
        mine = table.filter(
            pl.col("system") == system, pl.col("implicit") == implicit, pl.col("explicit").eq_missing(explicit)
        )
        rows = [_sufficiency_row(row, beside) for row in mine.iter_rows(named=True)]
        groups.append(RowGroup(f"{system}, {implicit} and {explicit or 'no explicit cascade'}", rows))
    marked = [cell.text for group in groups for row in group.rows for cell in row if isinstance(cell, Cell)]
    reasons = dict.fromkeys(part for reason in table["reason"].drop_nulls() for part in reason.split("; "))
    return paper_table(
        "table6",
        "Behavioural sufficiency of emergent text at the last layer (Table 6 of the paper)",
        ["Task", "κ impl", "κ casc", "Acc. impl", "Acc. speech LLM"],
        groups,
        [
            "Agreement of the speech LLM with its implicit cascade (κ impl) and with a cascade that reads an ASR's "
            "transcript (κ casc); accuracies of the implicit cascade and of the speech LLM in percent.",
            *beside.remarks("Table 6"),
            *(f"{UNDEFINED}: {reason}." for reason in reasons),
            *(f"{remark} At a κ: of either system." for remark in mark_legend(marked)),
        ],
        grouped_by="Systems",
    )


def _sufficiency_row(row: Mapping[str, Any], beside: Beside) -> LayoutRow:
    system, explicit, task = row["system"], row["explicit"], row["task"]

    def kappa(arm: str, reference: str) -> Cell:
        value = row[f"kappa_{arm}"]
        marks = {MARKS[row[f"{which}_against_chance"]] for which in ("system", arm)}
        paper = beside.number("Table 6", "kappa", system=system, reference=reference, task=task)
        return Cell(_third(value), "".join(sorted(marks)), paper)

    def share(arm: str, paper: str) -> Cell:
        return Cell(percent(row[f"{arm}_accuracy"]), MARKS[row[f"{arm}_against_chance"]], paper)

    return [
        task_title(task),
        kappa("implicit", IMPLICIT),
        Cell(NOT_RUN) if explicit is None else kappa("explicit", explicit),
        share("implicit", beside.number("Table 6", "accuracy", system=IMPLICIT, reference=system, task=task)),
        share("system", beside.number("Table 6", "accuracy", system=system, task=task)),
    ]


def _third(value: float | None) -> str:
    """Three decimals, as in the paper."""
    return UNDEFINED if value is None else f"{round(value, 3) + 0.0:.3f}".replace("-", MINUS)
