"""Intervals if wider groups of items counted as one, such as a television show: how far intervals depend on that.

Every other table counts a task's own groups (``Item.group``). Where the set names wider ones, whose items may depend on
each other too, the same values stand here with the intervals that those give.
"""

from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.report.columns import Schema, estimate
from cascade_equivalence.report.display import Display, interval
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.shown import PlannedStudy
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

OWN = "as everywhere"
"""The grouping that all other tables have."""
ACCURACY, KAPPA = "accuracy", "kappa"
SCHEMA: Schema = {
    "statistic": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "task": pl.String,
    "grouping": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate("value"),
    "reason": pl.String,
}
"""System, or pair, x task x grouping, clean speech; ``reference`` is null where the statistic is of one system."""


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a system or pair, one column a grouping."""
    names = table["grouping"].unique(maintain_order=True).to_list()
    rows = []
    for place, part in table.group_by("statistic", "system", "reference", "task", maintain_order=True):
        statistic, system, reference, task = place
        found = {row["grouping"]: row for row in part.iter_rows(named=True)}
        cells = [
            f"{interval(row['value'], row['value_low'], row['value_high'])} ({row['groups']:,})"
            if (row := found.get(name))
            else ""
            for name in names
        ]
        who = str(system) if reference is None else f"{system} with {reference}"
        rows.append([task_title(str(task)), "κ" if statistic == KAPPA else "accuracy", who, *cells])
    return Display(
        name="groupings",
        title="The same values if wider groups counted",
        columns=["Task", "What", "Of", *(f"{name} [{confidence:.0%}] (groups)" for name in names)],
        rows=rows,
        remarks=[
            f"All other tables count each task's own groups, here {OWN}. Items of one show, or of one of its speakers, "
            "may depend on each other as well; intervals that grow with them say that they do.",
            *(f"{reason}." for reason in table["reason"].drop_nulls().unique(maintain_order=True)),
        ],
        text_columns=3,
    )


def _build(results: "Results") -> pl.DataFrame:
    from cascade_equivalence.report.groupings_frame import groupings

    agreement, statistics = results["agreement"], results.statistics
    return groupings(results.answers, agreement, results.items, results.labels, results.outline, statistics)


def _planned(study: PlannedStudy) -> bool:
    """Where a published set names wider groups; the project's own items have none."""
    published = study.config.items.source == "published"
    return published and any(TASKS[task].wider for task in study.config.tasks)


TABLE = Table(
    name="groupings",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.groupings, confidence),
    planned=_planned,
)
