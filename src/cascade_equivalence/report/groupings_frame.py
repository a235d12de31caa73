"""Accuracies and kappas with their intervals if wider groups of items counted as one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.columns import spread
from cascade_equivalence.report.groupings_table import ACCURACY, KAPPA, OWN, SCHEMA
from cascade_equivalence.report.naming import Node, Outline
from cascade_equivalence.stats.accuracy import accuracy
from cascade_equivalence.stats.agreement import kappa
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Statistic
from cascade_equivalence.stats.statistic import estimate as estimated


def groupings(
    answers: Mapping[Node, pl.DataFrame],
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
    rows: list[dict[str, Any]] = []
    for task in (task for task in outline.ordered_tasks() if "wider" in getattr(items.get(task), "columns", ())):
        wider = _groupings(items[task])
        clean = {node.who: table for node, table in answers.items() if (node.task, node.condition) == (task, CLEAN)}
        for system in (name for name in outline.systems if name in clean):
            for grouping, table in _regrouped(clean[system], wider):
                clusters = Clusters.of(table["group"].to_list())
                found = accuracy(clusters, table["correct"].to_numpy())
                names = {"statistic": ACCURACY, "system": system, "task": task, "grouping": grouping}
                rows.append(names | _row(found, clusters, table.height, statistics))
        asked = pairs.filter(task=task, condition=CLEAN).select("system", "reference").unique(maintain_order=True)
        for system, reference in asked.iter_rows():
            for grouping, joined in _regrouped(join_pair(clean[system], clean[reference]), wider):
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


def _row(found: Statistic, clusters: Clusters, rows: int, statistics: StatisticsConfig) -> dict[str, Any]:
    value = estimated({"value": found}, clusters.count, statistics.confidence)["value"]
    return {"rows": rows, "groups": clusters.count, **spread("value", vars(value)), "reason": value.reason}
