"""Agreement with the own cascade against what the voice tells beyond the words, task by task (paper's hypothesis, 2.1).

The paper expects agreement to be high where the transcript suffices, and the lower the more only the voice tells. One
row a speech LLM, its cascade and task, and of each such pair the least-squares slope of kappa over its tasks.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.chance import ABOVE, standing
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import UNDEFINED, Display, ends, interval
from cascade_equivalence.report.naming import HEARING, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.shown import PlannedStudy

CHANCE_MARK = " ‡"
FEWEST_TASKS = 3
"""Two points are no slope."""
TURNED = {
    f"{one}{end}": f"{other}{end}"
    for one, other in (("system", "reference"), ("reference", "system"))
    for end in ("", "_kind", "_against_chance")
}
"""Columns of agreement that change places where a pair is written the other way round; kappa stays."""
SCHEMA: Schema = {
    "system": pl.String,
    "reference": pl.String,
    "task": pl.String,
    **estimate_schema("surplus_share"),
    **estimate_schema("kappa"),
    "above_chance": pl.Boolean,
    "tasks": pl.Int64,
    **estimate_schema("slope"),
    "reason": pl.String,
}
"""``surplus_share``: what the voice tells beyond the words, as a share of all there is to know of the label;
``above_chance``: whether the speech LLM is; ``slope``: of kappa, from a share of 0 to one of 1, over the pair's tasks
(the same in each of its rows)."""


def frame(surplus: pl.DataFrame, agreement: pl.DataFrame, cascades: Collection[str], confidence: float) -> pl.DataFrame:
    """One row a speech LLM, the cascade with its LLM, and task of which both kappa and surplus are known.

    Args:
        surplus: Tidy surplus table.
        agreement: Tidy agreement table.
        cascades: Systems that read a recogniser's transcript.
        confidence: Level of the intervals.
    """
    shares = {row["task"]: share(row) for row in surplus.iter_rows(named=True)}
    own = own_pairs(agreement, cascades).filter(pl.col("task").is_in(list(shares)))
    rows: list[dict[str, Any]] = []
    for (system, reference), part in own.group_by("system", "reference", maintain_order=True):
        points = [
            {"system": system, "reference": reference, "task": row["task"], **shares[row["task"]]}
            | {name: row[name] for name in estimate_schema("kappa")}
            | {"above_chance": standing(row["system_against_chance"]) == ABOVE}
            for row in part.iter_rows(named=True)
            if shares[row["task"]]["surplus_share"] is not None
        ]
        rows += [point | _slope(points, confidence) for point in points]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def own_pairs(agreement: pl.DataFrame, cascades: Collection[str]) -> pl.DataFrame:
    """Rows of speech LLMs beside the cascades with their LLMs on clean speech, where there is a kappa.

    Args:
        agreement: Tidy agreement table.
        cascades: Systems that read a recogniser's transcript.
    """
    # A pair that is written the other way round is the same pair.
    turned = agreement.rename(TURNED).select(agreement.columns)
    return pl.concat([agreement, turned]).filter(
        pl.col("system_kind").is_in(HEARING),
        pl.col("reference").is_in(list(cascades)),
        pl.col("kappa").is_not_null(),
        condition=CLEAN,
        match="exact",
    )


def share(row: dict[str, Any]) -> dict[str, float | None]:
    """What the voice tells of a task's label, as a share of all there is to know of it, from its row of the surplus."""
    ends = ("", "_low", "_high")
    known = row["h_y"] and row["surplus"] is not None
    return {
        f"surplus_share{end}": row[f"surplus{end}"] / row["h_y"] if known and row[f"surplus{end}"] is not None else None
        for end in ends
    }


def _slope(points: Sequence[dict[str, Any]], confidence: float) -> dict[str, Any]:
    """Least squares over the tasks; limits from those of each kappa, or from how kappas lie about the line if wider."""
    import numpy as np

    from cascade_equivalence.stats.trend import scatter_reach, slope_limits, slope_weights

    told = [point for point in points if point["kappa_low"] is not None]
    empty: dict[str, Any] = {"tasks": len(told), **dict.fromkeys(estimate_schema("slope"))}
    if len(told) < FEWEST_TASKS:
        return empty | {"reason": f"no slope: kappa has an interval on {len(told)} tasks, fewer than {FEWEST_TASKS}"}
    settings = [point["surplus_share"] for point in told]
    if len(set(settings)) == 1:
        return empty | {"reason": "no slope: the voice tells equally much on all tasks"}
    weights = slope_weights(settings)
    at, low, high = (np.array([point[f"kappa{end}"] for point in told]) for end in ("", "_low", "_high"))
    # Tasks share no item, so their errors are not related.
    limits = slope_limits(weights, at, low, high, np.eye(len(told)))
    slope, reach = float(at @ weights), scatter_reach(settings, at, [point["task"] for point in told], confidence)
    return empty | {
        "slope": slope,
        "slope_low": min(limits[0], slope - reach),
        "slope_high": max(limits[1], slope + reach),
        "reason": None,
    }


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a speech LLM and task, in the order of what the voice tells."""
    ordered = table.sort("system", "reference", "surplus_share", maintain_order=True)
    rows = [
        [
            row["system"],
            row["reference"],
            task_title(row["task"]),
            ends(row, "surplus_share"),
            ends(row, "kappa") + ("" if row["above_chance"] else CHANCE_MARK),
            UNDEFINED
            if row["slope"] is None
            else interval(*(row[f"slope{e}"] for e in ("", "_low", "_high")), signed=True),
        ]
        for row in ordered.iter_rows(named=True)
    ]
    reasons = dict.fromkeys(
        f"{row['system']}: {row['reason']}." for row in table.iter_rows(named=True) if row["reason"] is not None
    )
    return Display(
        name="gradient",
        title="Agreement with the own cascade against what the voice tells",
        columns=[
            "Speech LLM",
            "Its cascade",
            "Task",
            f"Told by the voice alone [{confidence:.0%}]",
            "κ",
            "Slope of κ over the tasks",
        ],
        rows=rows,
        remarks=[
            "Told by the voice alone: the acoustic surplus as a share of all there is to know of the label (its "
            "log-loss without any knowledge of the clip). Slope: by how much κ moves from a task on which the words "
            "tell all to one on which only the voice tells, least squares over the tasks of the pair.",
            "A κ near 0 has two causes that it cannot tell apart: the speech LLM hears what its cascade cannot, or "
            f"both guess.{CHANCE_MARK}: the speech LLM is not shown to be above chance, so that it may be the second; "
            "for that reason κ falls over the tasks with models that hear no voice, too.",
            "The slope's interval carries the uncertainty of each κ, or how κs of the tasks lie about the line if that "
            f"is more (t with {FEWEST_TASKS - 2} degree of freedom at {FEWEST_TASKS} tasks, one more a task); it takes "
            "what the voice tells on them as it is. Fewer tasks have no slope.",
            *reasons,
        ],
        text_columns=3,
    )


def _build(results: "Results") -> pl.DataFrame:
    from cascade_equivalence.report.sufficiency_frame import reads_an_asr

    cascades = [name for name in results.outline.systems if reads_an_asr(name, results.outline)]
    return frame(results["surplus"], results["agreement"], cascades, results.statistics.confidence)


def planned(study: "PlannedStudy") -> bool:
    """Where what the voice tells is measured, of systems that hear it."""
    return bool(study.config.surplus.tasks) and hears_beside(study)


def hears_beside(study: "PlannedStudy") -> bool:
    """Whether a system that hears may stand beside another."""
    known = study.config.definitions.systems
    return bool(study.config.pairs) and any(known[name].kind in HEARING for name in study.config.systems)


TABLE = Table(
    name="gradient",
    section="agreement",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.gradient, confidence),
    planned=planned,
)
