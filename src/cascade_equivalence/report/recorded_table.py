"""Recorded against synthetic speech of the same words: word errors, right answers and agreement, on the same items."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.spoken import is_spoken_both_ways
from cascade_equivalence.config.study import GIVEN
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import MARKS, UNDEFINED, Display, ends, mark_legend
from cascade_equivalence.report.naming import NodeFile, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.shown import PlannedStudy
    from cascade_equivalence.stats.clusters import Bools, Clusters
    from cascade_equivalence.stats.statistic import Statistic

MEASURES = {"word_errors": "Word errors", "accuracy": "Right answers", "kappa": "κ"}
VOICES = ("recorded", "synthetic")
SCHEMA: Schema = {
    "measure": pl.String,
    "of": pl.String,
    "reference": pl.String,
    "task": pl.String,
    "items": pl.Int64,
    "groups": pl.Int64,
    **{name: dtype for each in (*VOICES, "difference") for name, dtype in estimate_schema(each).items()},
    "voices": pl.String,
    "against_chance": pl.String,
    "reason": pl.String,
}
"""Measure x recogniser, system or pair x task, on the items that voices of both kinds speak, clean. ``difference``:
recorded minus synthetic, all voices of a kind pooled, with an interval on the same groups. ``voices``: which, recorded
ones first; they are fixed. ``against_chance``: where answers stand to chance, of a pair the worse of the two."""
UNDEFINED_BY = {
    "word_errors": "nothing is said",
    "accuracy": "there are no rows",
    "kappa": "both systems gave one and the same answer to every item",
}


def frame(results: "Results") -> pl.DataFrame:
    """One row a measure, what it is of, and task."""
    rows: list[dict[str, Any]] = []
    if results.outline.recorded:
        rows = [*_heard(results), *_right(results), *_alike(results)]
    order = {measure: place for place, measure in enumerate(MEASURES)}
    tasks = results.outline.ordered_tasks()
    rows.sort(key=lambda row: (order[row["measure"]], tasks.index(row["task"])))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _both(table: pl.DataFrame, results: "Results") -> dict[str, pl.DataFrame] | None:
    """Rows of items that are heard recorded and synthetic, by kind of voice; None where there is no such item."""
    recorded = pl.col("voice").is_in(list(results.outline.recorded))
    sides = dict(zip(VOICES, (table.filter(recorded), table.filter(~recorded)), strict=True))
    shared = sides["recorded"].join(sides["synthetic"], on="id", how="semi")["id"].unique()
    return {name: side.filter(pl.col("id").is_in(shared)) for name, side in sides.items()} if len(shared) else None


def _heard(results: "Results") -> Iterator[dict[str, Any]]:
    from cascade_equivalence.stats.mean import numbers, ratio

    for node, table in results.transcripts.items():
        if node.condition != CLEAN or node.who in GIVEN:
            continue
        groups = results.items[node.task].select("id", "group")
        if sides := _both(table.join(groups, on="id", how="left"), results):
            measured = {}
            for name, side in sides.items():
                clusters = _clusters(side)
                top, bottom = (numbers(side[column]) for column in ("word_errors", "reference_words"))
                measured[name] = ratio(clusters, top, bottom, UNDEFINED_BY["word_errors"])
            yield _row("word_errors", node, None, sides, measured, results)


def _right(results: "Results") -> Iterator[dict[str, Any]]:
    from cascade_equivalence.stats.intervals import share

    for node, table in results.answers.items():
        if node.condition == CLEAN and (sides := _both(table, results)):
            measured = {}
            for name, side in sides.items():
                right: Bools = side["correct"].to_numpy()
                measured[name] = share(_clusters(side), right, UNDEFINED_BY["accuracy"])
            yield _row("accuracy", node, None, sides, measured, results)


def _alike(results: "Results") -> Iterator[dict[str, Any]]:
    from cascade_equivalence.stats.agreement import kappa
    from cascade_equivalence.stats.join import join_pair
    from cascade_equivalence.stats.paired import Paired

    for pair in results.outline.ordered_pairs():
        for task in results.outline.ordered_tasks():
            one, other = (results.answers.get(NodeFile(who, task, CLEAN)) for who in (pair.system, pair.reference))
            if one is None or other is None or (sides := _both(join_pair(one, other), results)) is None:
                continue
            measured = {name: kappa(Paired.of(side, results.labels[task])) for name, side in sides.items()}
            yield _row("kappa", NodeFile(pair.system, task, CLEAN), pair.reference, sides, measured, results)


def _clusters(side: pl.DataFrame) -> "Clusters":
    from cascade_equivalence.stats.clusters import Clusters

    return Clusters.of(side["group"].to_list())


def _row(
    measure: str,
    node: NodeFile,
    reference: str | None,
    sides: dict[str, pl.DataFrame],
    measured: "dict[str, Statistic]",
    results: "Results",
) -> dict[str, Any]:
    from cascade_equivalence.report.mechanism_frames import estimate_values, reasons
    from cascade_equivalence.stats.intervals import difference
    from cascade_equivalence.stats.statistic import estimate

    # Items are the same, and so are the groups, which are numbered in the order of their names.
    groups = sides["recorded"]["group"].n_unique()
    apart = difference(measured["recorded"], measured["synthetic"], groups, UNDEFINED_BY[measure])
    found = estimate(measured | {"difference": apart}, groups, results.statistics.confidence)
    row: dict[str, Any] = {"measure": measure, "of": node.who, "reference": reference, "task": node.task}
    row |= {"items": sides["recorded"]["id"].n_unique(), "groups": groups, "reason": reasons(found)}
    row["voices"] = " / ".join(", ".join(side["voice"].unique().sort()) for side in sides.values())
    row["against_chance"] = (
        None if measure == "word_errors" else _against_chance(results, node.task, node.who, reference)
    )
    for name, each in found.items():
        row |= estimate_values(name, each)
    return row


def _against_chance(results: "Results", task: str, *systems: str | None) -> str | None:
    """Where systems stand to chance on a task, the worst of them."""
    rows = results["accuracy"].filter(pl.col("system").is_in([*filter(None, systems)]), task=task)
    found = set(rows["against_chance"])
    return next((each for each in ("below", "at", "unknown") if each in found), None)


def display(table: pl.DataFrame, confidence: float) -> Display:
    """Recognisers, systems and pairs, a row each and task."""
    rows = [
        [
            MEASURES[row["measure"]],
            row["of"] if row["reference"] is None else f"{row['of']} and {row['reference']}",
            task_title(row["task"]),
            *(UNDEFINED if row[name] is None else ends(row, name) + MARKS[row["against_chance"]] for name in VOICES),
            UNDEFINED if row["difference"] is None else ends(row, "difference", signed=True),
            f"{row['items']:,}",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="recorded",
        title="Recorded and synthetic speech of the same words",
        columns=[
            "Measure",
            "Of",
            "Task",
            f"Recorded [{confidence:.0%}]",
            "Synthetic",
            "Recorded minus synthetic",
            "Items",
        ],
        rows=rows,
        remarks=[
            "The items that voices of both kinds speak, clean. Word errors are a share of the words said; voices of a "
            "kind are pooled. The difference counts whole groups of items, on which both kinds are heard; it is one of "
            "these voices, and says nothing of how far other voices differ.",
            *(f"Voices, recorded / synthetic: {voices}." for voices in table["voices"].unique(maintain_order=True)),
            *mark_legend(cell for row in rows for cell in row),
            *dict.fromkeys(
                f"{MEASURES[row['measure']]}, {row['of']}, {task_title(row['task'])}: {row['reason']}."
                for row in table.filter(pl.col("reason").is_not_null()).iter_rows(named=True)
            ),
        ],
        text_columns=3,
    )


def _planned(study: "PlannedStudy") -> bool:
    return any(is_spoken_both_ways(study.config, task) for task in study.config.tasks)


TABLE = Table(
    name="recorded",
    section="natural",
    schema=SCHEMA,
    build=frame,
    display=lambda tables, confidence: display(tables.recorded, confidence),
    planned=_planned,
)
