"""Cascade or speech LLM, task by task (the decision framework of the paper's section 6)."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.claims_rows import Value
from cascade_equivalence.report.costs_table import seconds
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, interval, percent, points_interval
from cascade_equivalence.report.naming import CASCADE, HEARING, task_title
from cascade_equivalence.report.tables import Tables

CASCADES, SPEECH, EITHER = "cascade", "speech LLM", "not shown"


def display(tables: Tables, sufficient: Mapping[str, bool]) -> Display:
    """Beside what the paper advises for each task, what this study's best cascade and best speech LLM are like.

    Args:
        tables: The tidy tables. What systems cost was measured by a clock, so this table has no file of its own.
        sufficient: Of each task, whether the words are taken to hold what the label depends on.
    """
    hears = tables.costs.filter("hears", condition=CLEAN)["system"].unique().to_list()
    there = tables.accuracy.filter(pl.col("system").is_in(hears))
    rows = []
    for (task,), part in there.group_by("task", maintain_order=True):
        cascade = _best(part.filter(kind=CASCADE))
        speech = _best(part.filter(pl.col("kind").is_in(HEARING)))
        if cascade and speech:
            rows.append(_row(str(task), cascade, speech, tables, text_sufficient=sufficient[str(task)]))
    return Display(
        name="decisions",
        title="Cascade or speech LLM, task by task",
        columns=[
            "Task",
            "The paper's advice",
            "Better in accuracy here",
            "Best cascade %",
            "Best speech LLM %",
            "Speech LLM minus cascade, points",
            "Seconds an item, cascade / speech LLM",
            "Surplus, bits",
        ],
        rows=rows,
        remarks=[
            "The paper's advice (section 6): a cascade where the words suffice, in clean conditions and in noise; a "
            "speech LLM where the sound tells more than the words, and only if it uses that. Whether the words suffice "
            "is said of the task, as in the paper; the surplus is what this study measured.",
            "Best: the highest accuracy on clean speech, so that the better of several is flattered a little. "
            "The difference is that of the two on the same clips where the study compares them, else of two "
            "independent estimates, which is cautious. Better: the study compares the two, and they differ after the "
            "correction for all tests of the agreement table.",
            "Seconds were measured on this machine; of a system behind an API they are time spent waiting.",
        ],
        text_columns=3,
    )


def _best(part: pl.DataFrame) -> dict[str, Any] | None:
    return part.sort("accuracy", descending=True, maintain_order=True).row(0, named=True) if part.height else None


def _row(
    task: str, cascade: Mapping[str, Any], speech: Mapping[str, Any], tables: Tables, *, text_sufficient: bool
) -> list[str]:
    difference = _difference(cascade, speech, tables)
    better = EITHER
    if difference is not None and _differ(cascade, speech, tables):
        better = SPEECH if difference.value > 0 else CASCADES
    surplus = tables.surplus.filter(task=task)
    return [
        task_title(task),
        CASCADES if text_sufficient else f"{SPEECH}, if it uses the sound",
        better,
        *(f"{percent(each['accuracy'])} ({each['system']})" for each in (cascade, speech)),
        UNDEFINED if difference is None else points_interval(*difference),
        " / ".join(_seconds(each, tables) for each in (cascade, speech)),
        NOT_RUN
        if not surplus.height
        else interval(*(surplus[f"surplus{end}"].item() for end in ("", "_low", "_high")), signed=True),
    ]


def _differ(cascade: Mapping[str, Any], speech: Mapping[str, Any], tables: Tables) -> bool:
    """Whether the table of agreement has it that the two differ, after the report's correction for all its tests."""
    arms = [(one["system"], other["system"]) for one, other in ((speech, cascade), (cascade, speech))]
    there = tables.agreement.filter(task=speech["task"], condition=CLEAN)
    return any(
        there.filter(system=system, reference=reference)["accuracies_differ"].any() for system, reference in arms
    )


def _difference(cascade: Mapping[str, Any], speech: Mapping[str, Any], tables: Tables) -> Value | None:
    for system, reference in ((speech, cascade), (cascade, speech)):
        pair = tables.agreement.filter(
            system=system["system"], reference=reference["system"], task=speech["task"], condition=CLEAN
        )
        if pair.height:
            found = _value(pair.row(0, named=True), "accuracy_difference")
            return found if found is None or system is speech else found.negative()
    one, other = (_value(each, "accuracy") for each in (speech, cascade))
    return None if one is None or other is None else one.minus(other)


def _value(row: Mapping[str, Any], name: str) -> Value | None:
    ends = [row[f"{name}{end}"] for end in ("", "_low", "_high")]
    return None if None in ends else Value(*ends)


def _seconds(row: Mapping[str, Any], tables: Tables) -> str:
    cost = tables.costs.filter(system=row["system"], task=row["task"], condition=CLEAN)
    return seconds(cost["seconds_per_item"].item()) if cost.height else UNDEFINED
