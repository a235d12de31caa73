"""What audio tells beyond the transcript, as tidy columns and as a reader sees it (paper section 2.1, equation 1)."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.study import ORACLE
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import UNDEFINED, Display, decimal, ends
from cascade_equivalence.report.naming import in_order, task_title
from cascade_equivalence.report.table import Table

SCHEMA: Schema = {
    "task": pl.String,
    "transcript": pl.String,
    "voices": pl.Int64,
    "rows": pl.Int64,
    "groups": pl.Int64,
    "labels": pl.Int64,
    "folds": pl.Int64,
    **estimate_schema("h_y"),
    **estimate_schema("text"),
    **estimate_schema("audio"),
    **estimate_schema("both"),
    **estimate_schema("surplus"),
    "half_surplus": pl.Float64,
    "half_groups": pl.Int64,
    "permutations": pl.Int64,
    "permuted_low": pl.Float64,
    "permuted_high": pl.Float64,
    "verdict": pl.String,
    "reason": pl.String,
}
"""Bits. ``h_y`` is what there is to know of the label; ``transcript`` is the recogniser, or ``oracle``;
``half_surplus`` is what a random half of the groups gives."""


def frame(files: Iterable[Path]) -> pl.DataFrame:
    """One row a task, in the paper's order.

    Args:
        files: What ``nodes.surplus.measure_surplus`` wrote, of a task each.
    """
    from cascade_equivalence.stats.surplus import INFORMATION

    rows: list[dict[str, Any]] = []
    by_task = {task: path for (task,), path in files_about(files, ["task"]).items()}
    for task in in_order(by_task):
        found = json.loads(by_task[task].read_text(encoding="utf-8"))
        row = {
            "task": task,
            "voices": len(found["voices"]),
            **{name: found[name] for name in ("transcript", "rows", "groups", "labels", "folds", "verdict")},
            "reason": found["reason"] or found["surplus"]["reason"],
            "half_surplus": found["half"]["value"],
            "half_groups": found["half"]["groups"],
            "permutations": len(found["permuted"]["values"]),
            **{f"permuted_{end}": found["permuted"][end] for end in ("low", "high")},
        }
        for name in ("h_y", *INFORMATION):
            row |= estimate_values(name, found[name])
        rows.append(row)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def display(table: pl.DataFrame, confidence: float) -> Display:
    """Equation 1 of the paper: one row a task, beside the surplus what the transcript carries."""
    rows = [
        [
            task_title(row["task"]),
            "the true text" if row["transcript"] == ORACLE else row["transcript"],
            row["verdict"] if row["verdict"] != "undefined" else UNDEFINED,
            f"{row['rows']:,} ({row['groups']:,})",
            decimal(row["h_y"]),
            *(ends(row, name) for name in ("text", "audio")),
            ends(row, "surplus", signed=True),
            decimal(row["half_surplus"], signed=True),
            _range(row),
        ]
        for row in table.iter_rows(named=True)
    ]
    reasons = [
        f"{task_title(row['task'])}: {row['reason']}."
        for row in table.filter(pl.col("reason").is_not_null()).iter_rows(named=True)
    ]
    return Display(
        name="surplus",
        title="Acoustic surplus: what audio tells beyond the transcript, in bits",
        columns=[
            "Task",
            "Transcript",
            "Surplus is",
            "Clips (groups)",
            "Label",
            f"Transcript [{confidence:.0%}]",
            "Audio alone",
            "Surplus, at least",
            "From half the texts",
            "By chance",
        ],
        rows=rows,
        remarks=[
            "Usable information: by how much the log-loss of the label falls on clips of texts (dialogues, shows) that "
            "nothing was fitted on. Label: the log-loss of the label frequencies, all there is to know. Transcript: "
            "what a linear classifier of words and pairs of words gains. Audio alone: what one of pitch, level, tempo, "
            "voicing and spectral shape gains. Surplus: what these add to the transcript. Values below 0 are no "
            "information: the features misled the classifier.",
            "The surplus is at least what is shown: a classifier learns more from more texts. From half the texts: "
            "what a random half of them gives; where it is clearly less, more texts would show more.",
            "Shown: the value lies above all those found by chance, and its interval above 0; apparent: the interval "
            "reaches 0, or there are too few groups for one. By chance: the range over repetitions in which "
            "items exchanged their audio. Intervals count whole groups and take the classifiers as given.",
            "None shown is no proof that the transcript suffices: it is what these classifiers and features find. "
            "Where synthetic voices read one text for one label, there is no surplus by construction; where one text "
            "is read in several manners that are the labels, the transcript can carry nothing.",
            *(
                f"{task_title(task)}: the label is the letter of an option, and the options are not spoken."
                for task in table["task"]
                if task in TASKS and TASKS[task].has_options
            ),
            *reasons,
        ],
        text_columns=3,
    )


def _range(row: Mapping[str, Any]) -> str:
    low, high = (row[f"permuted_{end}"] for end in ("low", "high"))
    return UNDEFINED if low is None else f"{decimal(low, signed=True)} to {decimal(high, signed=True)}"


TABLE = Table(
    name="surplus",
    section="transcription",
    schema=SCHEMA,
    build=lambda results: frame(results.surplus),
    display=lambda tables, confidence: display(tables.surplus, confidence),
    planned=lambda study: bool(study.config.surplus.tasks),
)
