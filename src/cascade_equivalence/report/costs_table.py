"""What answers cost, as tidy columns and as a reader sees them."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import PLACE, Schema, estimate_schema
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, percent
from cascade_equivalence.report.naming import API, HEARING, task_title
from cascade_equivalence.report.system_tables import made_of

SCHEMA: Schema = {
    "system": pl.String,
    "kind": pl.String,
    "asr": pl.String,
    "llm": pl.String,
    "model": pl.String,
    **PLACE,
    "rows": pl.Int64,
    "audio_seconds": pl.Float64,
    "transcription_seconds": pl.Float64,
    "answer_seconds": pl.Float64,
    "seconds": pl.Float64,
    "seconds_per_item": pl.Float64,
    "real_time_factor": pl.Float64,
    "prompt_tokens": pl.Int64,
    "new_tokens": pl.Int64,
    "money": pl.Float64,
    "currency": pl.String,
    **estimate_schema("accuracy"),
    "hears": pl.Boolean,
    "on_front": pl.Boolean,
    "reason": pl.String,
}
"""A row a system, task and condition. Seconds and tokens are sums over its rows; ``audio_seconds`` is the length of its
clips, ``real_time_factor`` is ``seconds`` by that. ``money`` is what a service charged, in ``currency``; null for
systems that run here. ``hears`` is false of the cascade that reads the true text, which nobody could run. ``on_front``:
nothing that hears is both as cheap and as good, and better in one; null where the cost is not known, for
``reason``."""

KEY = ("system", "task", "condition")
MEASURED = (
    *("transcription_seconds", "answer_seconds", "seconds", "seconds_per_item", "real_time_factor"),
    *("on_front", "reason"),
)
"""What a clock measured, and what follows from it. It is another in every run, so it has a file of its own."""
MEASURED_HEADINGS = ("Seconds", "Front", "Transcribing s", "Answering s", "Real-time factor")
TIMES = ("audio_seconds", "transcription_seconds", "answer_seconds", "seconds")
TOKENS = ("prompt_tokens", "new_tokens")
FRONT = "◆"
BEHIND_API = (
    "Of a system behind an API, seconds are the time until its answer came, network and queue included: they do not "
    "compare with seconds of work here, and its place on the front says little."
)
DIGITS_BELOW = {1: 3, 10: 2, 100: 1}
MINUTE = 60


def display(table: pl.DataFrame, confidence: float) -> Display:
    """What an item costs: one row a system and task, clean speech.

    Args:
        table: Tidy costs table.
        confidence: Level of the intervals of accuracies, where it has any.
    """
    clean = table.filter(condition=CLEAN)
    rows = []
    for row in clean.iter_rows(named=True):
        count = row["rows"]
        rows.append(
            [
                row["system"],
                made_of(row),
                task_title(row["task"]),
                _accuracy(row),
                seconds(row["seconds_per_item"]),
                FRONT if row["on_front"] else "",
                NOT_RUN if row["kind"] in HEARING else seconds(_mean(row["transcription_seconds"], count)),
                seconds(_mean(row["answer_seconds"], count)),
                seconds(row["real_time_factor"]),
                *(UNDEFINED if row[name] is None else f"{row[name] / count:.1f}" for name in TOKENS),
                f"{count:,}",
            ]
        )
    reasons = dict.fromkeys(clean["reason"].drop_nulls())
    interval = f" [{confidence:.0%}]" if clean["accuracy_low"].is_not_null().any() else ""
    return Display(
        name="costs",
        title="Cost of an answer",
        columns=[
            "System",
            "Made of",
            "Task",
            f"Accuracy %{interval}",
            "Seconds",
            "Front",
            "Transcribing s",
            "Answering s",
            "Real-time factor",
            "Prompt tokens",
            "New tokens",
            "Clips",
        ],
        rows=rows,
        remarks=[
            "Seconds and tokens are means over clips, clean speech. A cascade pays for its transcript and its answer, "
            "a speech LLM for its answer, which includes hearing.",
            "An item's seconds are its share of the time of its batch: they say how much work it is, not how long one "
            "person would wait. Loading models is left out. All depends on the machine and the batch size.",
            *([BEHIND_API] if (table["kind"] == API).any() else []),
            "Real-time factor: seconds of work by seconds of speech; below 1 is faster than speech.",
            f"{FRONT} Pareto front: no other system that hears is as cheap and as accurate, and better in one of the "
            "two. It goes by the numbers as they are, and their intervals may overlap; a system without a known cost "
            "has no place on it, nor has one that reads the true text.",
            *(f"{UNDEFINED}: {reason}." for reason in reasons),
        ],
        text_columns=3,
    )


def files(table: pl.DataFrame, confidence: float) -> tuple[Display, Display]:
    """The same as two tables: what is the same in every run, and what a clock measured."""
    whole = display(table, confidence)

    def part(name: str, title: str, columns: list[str], remarks: list[str]) -> Display:
        places = [whole.columns.index(column) for column in columns]
        rows = [[row[place] for place in places] for row in whole.rows]
        return Display(name, title, columns, rows, remarks, whole.text_columns)

    counted = [column for column in whole.columns if column not in MEASURED_HEADINGS]
    tokens = ["Tokens are means over clips, clean speech. What an answer took in seconds is in the table of times."]
    timed = [*whole.columns[: whole.text_columns], *MEASURED_HEADINGS]
    return (
        part("costs", whole.title, counted, tokens),
        part("times", "Times, as measured in this run", timed, whole.remarks),
    )


def totals(table: pl.DataFrame) -> Display:
    """What a whole study cost: one row a system, all tasks and conditions."""
    paid = table["currency"].is_not_null().any()
    rows = []
    for (system,), part in table.group_by("system", maintain_order=True):
        row = part.row(0, named=True)
        minutes = [None if part[name].null_count() else sum(part[name]) / MINUTE for name in TIMES]
        if row["kind"] in HEARING:
            minutes[TIMES.index("transcription_seconds")] = 0.0
        tokens = [None if part[name].null_count() else sum(part[name]) for name in TOKENS]
        rows.append(
            [
                str(system),
                made_of(row),
                f"{sum(part['rows']):,}",
                *(UNDEFINED if value is None else f"{value:,.1f}" for value in minutes),
                *(UNDEFINED if value is None else f"{value:,}" for value in tokens),
                *([_money(part)] if paid else []),
            ]
        )
    return Display(
        name="costs_total",
        title="Cost of the study",
        columns=[
            "System",
            "Made of",
            "Answers",
            "Speech heard min",
            "Transcribing min",
            "Answering min",
            "Both min",
            "Prompt tokens",
            "New tokens",
            *(["Charged"] if paid else []),
        ],
        rows=rows,
        remarks=[
            "All tasks and conditions. Systems with the same recogniser are each charged for its transcripts, though a "
            "study makes them once.",
            *(["Charged: by the service, for the answers that are shown; not for calls that failed."] if paid else []),
        ],
        text_columns=2,
    )


def _money(part: pl.DataFrame) -> str:
    """What a service charged for a system's answers."""
    if not (part["kind"] == API).any():
        return NOT_RUN
    if part["money"].null_count():
        return UNDEFINED
    return f"{sum(part['money']):,.2f} {', '.join(sorted(set(part['currency'].drop_nulls())))}"


def seconds(value: float | None) -> str:
    """Seconds or a ratio of them, with about three digits."""
    if value is None:
        return UNDEFINED
    digits = next((digits for end, digits in DIGITS_BELOW.items() if value < end), 0)
    return f"{value:,.{digits}f}"


def _mean(value: float | None, count: int) -> float | None:
    return None if value is None else value / count


def _accuracy(row: Mapping[str, Any]) -> str:
    ends = "" if row["accuracy_low"] is None else f" [{percent(row['accuracy_low'])}, {percent(row['accuracy_high'])}]"
    return f"{percent(row['accuracy'])}{ends}"
