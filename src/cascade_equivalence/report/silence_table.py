"""What systems answer when nothing is said, and how far pairs agree there: the floor under accuracy and agreement."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.identity import about
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import (
    MARKS,
    NOT_RUN,
    UNDEFINED,
    Display,
    decimal,
    interval,
    mark_legend,
    percent,
    points_interval,
)
from cascade_equivalence.report.naming import Outline, task_title
from cascade_equivalence.report.table import Table

SCHEMA: Schema = {
    "system": pl.String,
    "task": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate_schema("accuracy"),
    "against_chance": pl.String,
    "commonest": pl.String,
    "commonest_share": pl.Float64,
    **estimate_schema("accuracy_difference"),
    **estimate_schema("observed_agreement"),
    **estimate_schema("kappa"),
    "reason": pl.String,
}
"""Of one system over silence. The difference is silence minus speech; agreement and kappa are the system's with its own
answers to speech; ``reason`` is kappa's."""
PAIR_SCHEMA: Schema = {
    "system": pl.String,
    "reference": pl.String,
    "task": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate_schema("kappa"),
    **estimate_schema("observed_agreement"),
    "reason": pl.String,
}
"""Of a pair over silence; ``reason`` is kappa's."""
ENDS = ("", "_low", "_high")


SYSTEM_ESTIMATES = ("accuracy", "accuracy_difference", "observed_agreement", "kappa")
PAIR_ESTIMATES = ("kappa", "observed_agreement")


def _frame(
    files: Iterable[Path], part: str, schema: Schema, estimates: Iterable[str], outline: Outline
) -> pl.DataFrame:
    from cascade_equivalence.report.mechanism_frames import read_json

    rows: list[dict[str, Any]] = []
    for path in files:
        (task,), found = about(path, ["task"]), read_json(path)
        for each in found[part]:
            row = {"task": task} | {name: each[name] for name in schema.keys() & each.keys()}
            for name in estimates:
                row |= estimate_values(name, each[name])
            rows.append(row | {"reason": each["kappa"]["reason"]})
    tasks = outline.ordered_tasks()
    pairs = [(pair.system, pair.reference) for pair in outline.pairs]
    order: list[tuple[str, str | None]] = [*((name, None) for name in outline.systems), *pairs]
    rows.sort(key=lambda row: (order.index((row["system"], row.get("reference"))), tasks.index(row["task"])))
    return pl.DataFrame(rows, schema=schema, orient="row")


def display(table: pl.DataFrame, accuracy: pl.DataFrame, confidence: float) -> Display:
    """One row a system and task.

    Args:
        table: The tidy table on single systems.
        accuracy: The tidy accuracy table, for the same over speech.
        confidence: Level of the intervals.
    """
    spoken = {(row["system"], row["task"]): row for row in accuracy.iter_rows(named=True)}
    rows = []
    for row in table.iter_rows(named=True):
        usual = spoken.get((row["system"], row["task"]))
        rows.append(
            [
                row["system"],
                task_title(row["task"]),
                percent(usual["accuracy"]) if usual else NOT_RUN,
                percent(row["accuracy"]) + MARKS[row["against_chance"]],
                points_interval(*(row[f"accuracy_difference{end}"] for end in ENDS)),
                percent(row["observed_agreement"]),
                interval(*(row[f"kappa{end}"] for end in ENDS)),
                f"{row['commonest']} ({percent(row['commonest_share'])})",
            ]
        )
    return Display(
        name="silence",
        title="When nothing is said",
        columns=[
            "System",
            "Task",
            "Right over speech %",
            "Right over silence %",
            f"Difference [{confidence:.0%}]",
            "Same answer as to speech %",
            f"κ with it [{confidence:.0%}]",
            "Commonest answer over silence (%)",
        ],
        rows=rows,
        remarks=[
            "The same questions over clips of silence, each as long as the spoken one in the task's first voice; a "
            "cascade reads what its recogniser writes down of that. What is right there is owed to the prompt, not to "
            "anything heard; the difference is silence minus speech, in that voice.",
            "A system that answers silence as it answers speech does not use the speech. Accuracy over speech is that "
            "of all voices.",
            *mark_legend(row[3] for row in rows),
            *(f"{reason}." for reason in table["reason"].drop_nulls().unique(maintain_order=True)),
        ],
        text_columns=2,
    )


def pair_display(table: pl.DataFrame, agreement: pl.DataFrame, confidence: float) -> Display:
    """One row a pair and task.

    Args:
        table: The tidy table on pairs.
        agreement: The tidy agreement table, for the same over speech.
        confidence: Level of the intervals.
    """
    clean = agreement.filter(condition=CLEAN).iter_rows(named=True)
    spoken = {(row["system"], row["reference"], row["task"]): row for row in clean}
    rows = []
    for row in table.iter_rows(named=True):
        usual = spoken.get((row["system"], row["reference"], row["task"]))
        rows.append(
            [
                f"{row['system']} vs. {row['reference']}",
                task_title(row["task"]),
                decimal(usual["kappa"]) if usual else NOT_RUN,
                interval(*(row[f"kappa{end}"] for end in ENDS)),
                percent(usual["observed_agreement"]) if usual else NOT_RUN,
                percent(row["observed_agreement"]),
            ]
        )
    return Display(
        name="silence_pairs",
        title="How alike they answer when nothing is said",
        columns=[
            "Pair",
            "Task",
            "κ over speech",
            f"κ over silence [{confidence:.0%}]",
            "Same answer over speech %",
            "Same answer over silence %",
        ],
        rows=rows,
        remarks=[
            "The floor under agreement: as alike as two systems answer without hearing anything. An agreement over "
            "speech that is no higher says nothing of how they hear. Where both give one answer throughout, κ over "
            f"silence is undefined ({UNDEFINED}) and the share of same answers is what there is to compare.",
            *(f"{reason}." for reason in table["reason"].drop_nulls().unique(maintain_order=True)),
        ],
        text_columns=2,
    )


TABLE = Table(
    name="silence",
    schema=SCHEMA,
    section="accuracy",
    build=lambda results: _frame(
        results.silence,
        "systems",
        SCHEMA,
        SYSTEM_ESTIMATES,
        results.outline,
    ),
    display=lambda tables, confidence: display(tables.silence, tables.accuracy, confidence),
    planned=lambda study: study.config.speech.silence,
)
PAIRS_TABLE = Table(
    name="silence_pairs",
    schema=PAIR_SCHEMA,
    section="agreement",
    build=lambda results: _frame(results.silence, "pairs", PAIR_SCHEMA, PAIR_ESTIMATES, results.outline),
    display=lambda tables, confidence: pair_display(tables.silence_pairs, tables.agreement, confidence),
    planned=lambda study: study.config.speech.silence and bool(study.config.pairs),
)
