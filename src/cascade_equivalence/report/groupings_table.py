"""Intervals if wider groups of items counted as one, such as a television show: how far intervals depend on that.

Every other table counts a task's own groups (``Item.group``). Where the set names wider ones, whose items may depend on
each other too, the same values stand here with the intervals that those give.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import Display, interval
from cascade_equivalence.report.naming import NodeFile, Outline, task_title
from cascade_equivalence.report.shown import PlannedStudy
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.statistic import Statistic

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
    **estimate_schema("value"),
    "reason": pl.String,
}
"""System, or pair, x task x grouping, clean speech; ``reference`` is null where the statistic is of one system."""


def frame(
    answers: Mapping[NodeFile, pl.DataFrame],
    pairs: pl.DataFrame,
    items: Mapping[str, pl.DataFrame],
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    """Accuracies and kappas by every grouping of the tasks that have wider groups.

    Args:
        answers: Answers tables.
        pairs: The tidy agreement table: which systems are compared.
        items: Items tables by task; only those with a column ``wider`` count.
        labels: Closed label set of each task; empty for open answers.
        outline: Order of systems and tasks.
        statistics: Level of the intervals.

    Returns:
        Table with the columns ``SCHEMA``.
    """
    from cascade_equivalence.stats.accuracy import accuracy
    from cascade_equivalence.stats.agreement import kappa
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.join import join_pair
    from cascade_equivalence.stats.paired import Paired

    rows: list[dict[str, Any]] = []
    for task in (task for task in outline.ordered_tasks() if "wider" in getattr(items.get(task), "columns", ())):
        groupings = _groupings(items[task])
        clean = {node.who: table for node, table in answers.items() if (node.task, node.condition) == (task, CLEAN)}
        for system in (name for name in outline.systems if name in clean):
            for grouping, table in _regrouped(clean[system], groupings):
                clusters = Clusters.of(table["group"].to_list())
                found = accuracy(clusters, table["correct"].to_numpy())
                names = {"statistic": ACCURACY, "system": system, "task": task, "grouping": grouping}
                rows.append(names | _row(found, clusters, table.height, statistics))
        asked = pairs.filter(task=task, condition=CLEAN).select("system", "reference").unique(maintain_order=True)
        for system, reference in asked.iter_rows():
            for grouping, joined in _regrouped(join_pair(clean[system], clean[reference]), groupings):
                paired = Paired.of(joined, labels[task])
                names = {"statistic": KAPPA, "system": system, "reference": reference, "task": task}
                row = _row(kappa(paired), paired.clusters, joined.height, statistics)
                rows.append(names | {"grouping": grouping} | row)
    return pl.DataFrame(rows, schema=SCHEMA)


def _groupings(items: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Group of each item, (id, group), by the grouping's name; groupings in the order of the first item."""
    long = items.select("id", "wider").explode("wider").unnest("wider")
    return {
        str(name): long.filter(grouping=name).select("id", "group")
        for name in long["grouping"].unique(maintain_order=True)
    }


def _regrouped(table: pl.DataFrame, groupings: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, pl.DataFrame]]:
    """A table of answers as it is, and with each of the other groupings in the place of its groups."""
    yield OWN, table
    for name, groups in groupings.items():
        yield name, table.drop("group").join(groups, on="id", how="inner", validate="m:1", maintain_order="left")


def _row(found: "Statistic", clusters: "Clusters", rows: int, statistics: StatisticsConfig) -> dict[str, Any]:
    from cascade_equivalence.stats.statistic import estimate as estimated

    value = estimated({"value": found}, clusters.count, statistics.confidence)["value"]
    return {"rows": rows, "groups": clusters.count, **estimate_values("value", vars(value)), "reason": value.reason}


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
    agreement, statistics = results["agreement"], results.statistics
    return frame(results.answers, agreement, results.items, results.labels, results.outline, statistics)


def _planned(study: PlannedStudy) -> bool:
    """Where a published set or a task of the user's names wider groups; the project's own items have none."""
    published = study.config.items.source == "published"
    return any(TASKS[task].wider and (published or task in TASKS.of_config()) for task in study.config.tasks)


TABLE = Table(
    name="groupings",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.groupings, confidence),
    planned=_planned,
)
