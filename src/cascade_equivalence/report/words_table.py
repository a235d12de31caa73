"""How much of a speech LLM's lead over its cascade is words for the voice: beside them a cascade that is told more."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.augmented import AugmentedSpec
from cascade_equivalence.config.study import CascadeSpec
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import MARK_LEGEND, MARKS, UNDEFINED, Display, ends, percent, points_interval
from cascade_equivalence.report.naming import HEARING, NodeFile, Outline, condition_title, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.shown import PlannedStudy

SIDES = ("system", "reference", "augmented")
NUMBERS = ("gap", "gained", "share")
SCHEMA: Schema = {
    **dict.fromkeys(SIDES, pl.String),
    "tags": pl.String,
    "shuffled": pl.Boolean,
    "task": pl.String,
    "condition": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **{f"{side}_accuracy": pl.Float64 for side in SIDES},
    **{f"{side}_against_chance": pl.String for side in SIDES},
    **{key: kind for name in NUMBERS for key, kind in estimate_schema(name).items()},
    "reason": pl.String,
}
"""Speech LLM x its cascade x that cascade with words for the voice x task x condition. ``gap``: accuracy of the speech
LLM minus its cascade's; ``gained``: that of the cascade with the words minus its own without; ``share``: gained as a
share of the gap, where the gap is told from 0."""
STANDARD_ERRORS = 3.0
"""How far above 0 a gap must lie for a share of it to be told."""
NO_GAP = "the speech LLM is not shown to be ahead of its cascade, so there is no gap to close"


def trios(outline: Outline, agreement: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Speech LLM, the cascade with its LLM, and that cascade told more, for each pair that the study compares.

    Args:
        outline: Names and order.
        agreement: Tidy agreement table, which says whose LLMs are the same.
    """
    exact = agreement.filter(match="exact").select("system", "reference").unique(maintain_order=True).rows()
    for one, other in dict.fromkeys([*exact, *((other, one) for one, other in exact)]):
        cascade = outline.systems[other]
        if outline.systems[one].kind not in HEARING or not isinstance(cascade, CascadeSpec):
            continue
        for name, spec in outline.systems.items():
            if isinstance(spec, AugmentedSpec) and (spec.asr, spec.llm) == (cascade.asr, cascade.llm):
                yield one, other, name


def compared(
    system: pl.DataFrame, reference: pl.DataFrame, augmented: pl.DataFrame, confidence: float
) -> dict[str, Any]:
    """The three numbers of a trio on one task in one condition, with their intervals.

    Args:
        system: Answers of the speech LLM.
        reference: Answers of its cascade to the same clips.
        augmented: Answers of the cascade that is told more.
        confidence: Level of the intervals.
    """
    import numpy as np

    from cascade_equivalence.report.mechanism_frames import reasons
    from cascade_equivalence.stats.accuracy import accuracy_difference
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.join import join_pair
    from cascade_equivalence.stats.mean import is_off_zero, ratio
    from cascade_equivalence.stats.statistic import Statistic, estimate

    joined = join_pair(system, reference)
    told = join_pair(augmented, reference)["system_correct"].to_numpy()
    heard, read = (joined[f"{side}_correct"].to_numpy() for side in SIDES[:2])
    clusters = Clusters.of(joined["group"].to_list())
    gap, gained = (each.astype(float) - read for each in (heard, told))
    ahead = is_off_zero(clusters, gap, STANDARD_ERRORS)
    nothing = Statistic(lambda weights: np.full(len(weights), np.nan), NO_GAP)
    found = estimate(
        {
            "gap": accuracy_difference(clusters, heard, read),
            "gained": accuracy_difference(clusters, told, read),
            "share": ratio(clusters, gained, gap, NO_GAP) if ahead else nothing,
        },
        clusters.count,
        confidence,
    )
    row: dict[str, Any] = {"rows": joined.height, "groups": clusters.count, "reason": reasons(found)}
    for name, each in found.items():
        row |= estimate_values(name, {"value": each.value, "low": each.low, "high": each.high})
    return row


def _build(results: "Results") -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    # Of clean speech the table of noise has only the voices that are heard in noise.
    known = {
        (row["system"], row["task"], row["condition"]): row
        for name in ("noise", "accuracy")
        for row in results[name].iter_rows(named=True)
    }
    places = dict.fromkeys((node.task, node.condition) for node in results.answers)
    for trio in trios(results.outline, results["agreement"]):
        spec = results.outline.systems[trio[2]]
        assert isinstance(spec, AugmentedSpec)
        for task, condition in places:
            nodes = [NodeFile(name, task, condition) for name in trio]
            if not all(node in results.answers for node in nodes):
                continue
            row = dict(zip(SIDES, trio, strict=True)) | {"tags": ", ".join(spec.tags), "shuffled": spec.shuffled}
            row |= {"task": task, "condition": condition}
            for side, name in zip(SIDES, trio, strict=True):
                own = known[name, task, condition]
                row |= {f"{side}_{column}": own[column] for column in ("accuracy", "against_chance")}
            system, reference, augmented = (results.answers[node] for node in nodes)
            rows.append(row | compared(system, reference, augmented, results.statistics.confidence))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a speech LLM, task, condition and cascade that is told more."""
    rows = [
        [
            row["system"],
            row["reference"],
            row["augmented"],
            task_title(row["task"]),
            condition_title(row["condition"]),
            row["tags"] + (" (of another clip)" if row["shuffled"] else ""),
            *(percent(row[f"{side}_accuracy"]) + MARKS[row[f"{side}_against_chance"]] for side in SIDES),
            *(points_interval(*(row[f"{name}{end}"] for end in ("", "_low", "_high"))) for name in NUMBERS[:2]),
            UNDEFINED if row["share"] is None else ends(row, "share"),
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="words",
        title="A cascade that is told in words what the voice tells",
        columns=[
            "Speech LLM",
            "Its cascade",
            "Told more",
            "Task",
            "Condition",
            "Tags",
            "Right, speech LLM",
            "Right, cascade",
            "Right, told more",
            f"Gap [{confidence:.0%}]",
            "Gained by the words",
            "Share of the gap",
        ],
        rows=rows,
        remarks=[
            "Gap: accuracy of the speech LLM minus that of the cascade with its own LLM, in points, on the same clips. "
            "Gained by the words: accuracy of that cascade told in words what the voice tells, minus its own without. "
            "Share of the gap: what is gained of it; told only where the gap lies three standard errors above 0. Some "
            "gaps are that large by luck: where one lies just there, its share is 5 to 10 % too low on average.",
            "Tags of another clip are the control: what they gain is no knowledge of the voice.",
            "A gap that the words do not close is not shown to be beyond words: this LLM may not use words that no "
            "example in its prompt has.",
            *(f"{mark} {legend}" for mark, legend in MARK_LEGEND.items() if any(mark in "".join(row) for row in rows)),
        ],
        text_columns=6,
    )


def planned(study: "PlannedStudy") -> bool:
    """Where a cascade is told more."""
    known = study.config.definitions.systems
    return any(isinstance(known[name], AugmentedSpec) for name in study.config.systems)


TABLE = Table(
    name="words",
    section="words",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.words, confidence),
    planned=planned,
)
