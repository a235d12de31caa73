"""Whether disagreement with the own cascade goes with each measure of what is heard, over all systems, tasks and dials.

One row a measure, speech LLM, cascade and task: how far kappa lies below 1, and what the measure says of the model, the
task or both. Over all rows of a measure there is one least-squares slope.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from cascade_equivalence.report.chance import ABOVE, standing
from cascade_equivalence.report.columns import ENDS, Schema, estimate_schema
from cascade_equivalence.report.dial_table import PITCH, erased
from cascade_equivalence.report.display import MINUS, UNDEFINED, Display, ends
from cascade_equivalence.report.gradient_table import CHANCE_MARK, FEWEST_TASKS, hears_beside, own_pairs, share
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.patching_table import HALF
from cascade_equivalence.report.table import Table
from cascade_equivalence.report.wording import counted

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.shown import PlannedStudy

Bounded = tuple[float, float | None, float | None]
"""A measure with the ends of its interval."""
OfWhat = tuple[str | None, str | None]
"""Of what a measure is: the model and the task; None where it is the same for all."""
ACOUSTIC = "acoustic"
LOSS = f"1 {MINUS} κ"
SCHEMA: Schema = {
    "measure": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "model": pl.String,
    "task": pl.String,
    **estimate_schema("value"),
    **estimate_schema("loss"),
    "above_chance": pl.Boolean,
    "points": pl.Int64,
    **estimate_schema("slope"),
    "reason": pl.String,
}
"""``value``: the measure; ``loss``: 1 minus kappa with the own cascade; ``above_chance``: whether the speech LLM is;
``slope``: of the loss over one unit of the measure, over all of the measure's ``points`` that have an interval (the
same in each of its rows)."""
FEWEST_MODELS = 3
"""Of a measure that is one number a model: as few as of tasks."""


class HeldAgainst(NamedTuple):
    """What the loss of agreement is held against.

    Attributes:
        title: What a reader sees.
        read: The values of a study, by model and task.
    """

    title: str
    read: "Callable[[Results], dict[OfWhat, Bounded]]"


def frame(
    agreement: pl.DataFrame,
    cascades: Sequence[str],
    models: Mapping[str, str],
    values: Mapping[str, Mapping[OfWhat, Bounded]],
    confidence: float,
) -> pl.DataFrame:
    """One row a measure, speech LLM with the cascade that has its LLM, and task.

    Args:
        agreement: Tidy agreement table.
        cascades: Systems that read a recogniser's transcript.
        models: The model of each speech LLM.
        values: By measure, what it says of a model and task.
        confidence: Level of the intervals.
    """
    rows: list[dict[str, Any]] = []
    own = own_pairs(agreement, cascades).to_dicts()
    for measure, found in values.items():
        points = []
        for row in own:
            model, task = models.get(row["system"]), row["task"]
            value = next((found[at] for at in ((model, task), (model, None), (None, task)) if at in found), None)
            if value is None:
                continue
            loss = [None if row[f"kappa{end}"] is None else 1 - row[f"kappa{end}"] for end in ("", "_high", "_low")]
            points.append(
                {"measure": measure, "system": row["system"], "reference": row["reference"], "model": model}
                | {"task": task, "above_chance": standing(row["system_against_chance"]) == ABOVE}
                | dict(zip(estimate_schema("value"), value, strict=True))
                | dict(zip(estimate_schema("loss"), loss, strict=True))
            )
        slope = _slope(points, all(task is None for _, task in found), confidence)
        rows += [point | slope for point in points]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _slope(points: Sequence[dict[str, Any]], of_model: bool, confidence: float) -> dict[str, Any]:
    """Least squares over all points; limits from those of each loss, or from how losses lie about the line if wider.

    Systems on one task answer the same items, so that their errors are related, nobody knows how: the limits are the
    widest that any correlation within a task gives. Tasks share no item. What moves all systems on a task, or one model
    on all tasks, counts once: tasks are the units, or models where the measure is one number a model.
    """
    import numpy as np

    from cascade_equivalence.stats.trend import scatter_reach, slope_weights

    told = [point for point in points if point["loss_low"] is not None]
    empty: dict[str, Any] = {"points": len(told), **dict.fromkeys(estimate_schema("slope"))}
    units = [str(point["model" if of_model else "task"]) for point in told]
    unit, fewest = ("model", FEWEST_MODELS) if of_model else ("task", FEWEST_TASKS)
    if len(set(units)) < fewest:
        return empty | {
            "reason": f"no slope: kappa has an interval on {counted(len(set(units)), unit)}, fewer than {fewest}"
        }
    values = [point["value"] for point in told]
    if len(set(values)) == 1:
        return empty | {"reason": "no slope: the measure is the same at all points"}
    weights = slope_weights(values)
    at, low, high = (np.array([point[f"loss{end}"] for point in told]) for end in ENDS)
    down, up = (weights * np.where((weights > 0) == first, at - low, high - at) for first in (True, False))
    tasks = [point["task"] for point in told]

    def reach(parts: Any) -> float:
        sums: dict[str, float] = {}
        for task, part in zip(tasks, parts, strict=True):
            sums[task] = sums.get(task, 0.0) + abs(float(part))
        return float(np.sqrt(sum(each**2 for each in sums.values())))

    middle, scatter = float(at @ weights), scatter_reach(values, at, units, confidence)
    return empty | {
        "slope": middle,
        "slope_low": middle - max(reach(down), scatter),
        "slope_high": middle + max(reach(up), scatter),
        "reason": None,
    }


# -- measures ---------------------------------------------------------------------------------------------------------


def _read(rows: pl.DataFrame, name: str, *, of_task: bool = True) -> dict[OfWhat, Bounded]:
    return {
        (row["model"], row["task"] if of_task else None): (row[name], row[f"{name}_low"], row[f"{name}_high"])
        for row in rows.iter_rows(named=True)
        if row[name] is not None
    }


def _surplus(results: "Results") -> dict[OfWhat, Bounded]:
    found: dict[OfWhat, Bounded] = {}
    for row in results["surplus"].iter_rows(named=True):
        value, low, high = share(row).values()
        if value is not None:
            found[None, row["task"]] = (value, low, high)
    return found


def _patching(results: "Results") -> dict[OfWhat, Bounded]:
    """At the first layer at which states that were read carry over half of the answer."""
    rows = results["patching"].filter(pl.col("read") >= HALF, positions="behind").sort("layer", maintain_order=True)
    return _read(rows.unique(["model", "task"], keep="first", maintain_order=True), "difference")


def _pitch(results: "Results") -> dict[OfWhat, Bounded]:
    """At the last layer that was opened."""
    rows = results["probes"].filter(~pl.col("untrained"), probe=PITCH).sort("layer", maintain_order=True)
    return _read(rows.with_columns(task=None).unique("model", keep="last", maintain_order=True), "value", of_task=False)


def _erasure(results: "Results") -> dict[OfWhat, Bounded]:
    found: dict[OfWhat, Bounded] = {}
    for model in results.erasure[0]["model"].unique(maintain_order=True):
        for row in erased(model, *results.erasure):
            value, low, high = (row[f"value{end}"] for end in ENDS)
            if row["of"] == ACOUSTIC and value is not None:
                found[model, row["task"]] = (-value, None if high is None else -high, None if low is None else -low)
    return found


MEASURES: Mapping[str, HeldAgainst] = {
    "surplus": HeldAgainst("Told by the voice alone (share of the label)", _surplus),
    "patching": HeldAgainst("Patching: heard minus read", _patching),
    "pitch": HeldAgainst("Pitch probe within voices, R²", _pitch),
    "erasure": HeldAgainst("Fall without acoustics (accuracy)", _erasure),
    "attributions": HeldAgainst(
        "Attributions: agreement of heard and read", lambda results: _read(results["attributions"], "agreement")
    ),
}
"""What the loss is held against, in a reader's order; what a study did not take is left out."""


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a measure, speech LLM and task, in the order of the measure."""
    rows = [
        [
            MEASURES[row["measure"]].title,
            row["system"],
            row["reference"],
            task_title(row["task"]),
            ends(row, "value"),
            ends(row, "loss") + ("" if row["above_chance"] else CHANCE_MARK),
            UNDEFINED if row["slope"] is None else ends(row, "slope", signed=True),
        ]
        for _, part in table.group_by("measure", maintain_order=True)
        for row in part.sort("value", maintain_order=True).iter_rows(named=True)
    ]
    reasons = dict.fromkeys(
        f"{MEASURES[row['measure']].title}: {row['reason']}."
        for row in table.iter_rows(named=True)
        if row["reason"] is not None
    )
    return Display(
        name="kappa_loss",
        title="Disagreement with the own cascade against each measure of what is heard",
        columns=["Measure", "Speech LLM", "Its cascade", "Task", f"Its value [{confidence:.0%}]", LOSS, "Slope"],
        rows=rows,
        remarks=[
            f"If agreement tells the mechanism, {LOSS} goes with what else shows that the voice is heard: up with "
            "what the voice tells, the pitch that can be read off the states and the fall without acoustics, down with "
            "states that carry over heard as read and with attributions that agree.",
            "Patching: behind the speech, at the first layer at which states that were read carry over half of the "
            "answer. Pitch: at the last layer that was opened; one number for all tasks of a model.",
            f"{CHANCE_MARK.strip()}: the speech LLM is not shown to be above chance there, so that κ may be low "
            "because both guess. Slopes count those points.",
            "Slope: least squares over all points of the measure. Its interval is the widest that any correlation of "
            "systems on the same items gives, or least squares' own if that is wider, by how tasks lie about the line "
            f"(t with two degrees of freedom fewer than tasks; fewer than {FEWEST_TASKS} tasks have no slope). Of "
            f"pitch, which is one number a model, models count and not tasks, {FEWEST_MODELS} at least. Few tasks, "
            "chosen and not drawn, make no law.",
            *reasons,
        ],
        text_columns=4,
    )


def _build(results: "Results") -> pl.DataFrame:
    from cascade_equivalence.report.sufficiency_frame import reads_an_asr

    outline = results.outline
    cascades = [name for name in outline.systems if reads_an_asr(name, outline)]
    models = {name: str(outline.parts(name)["model"]) for name in outline.systems}
    values = {name: found for name, measure in MEASURES.items() if (found := measure.read(results))}
    return frame(results["agreement"], cascades, models, values, results.statistics.confidence)


def planned(study: "PlannedStudy") -> bool:
    """Where more is measured than what the voice tells, of systems that hear it."""
    return hears_beside(study) and any(study.mechanism_files.get(name) for name in ("probes", *MEASURES))


TABLE = Table(
    name="kappa_loss",
    section="mechanism",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.kappa_loss, confidence),
    planned=planned,
)
