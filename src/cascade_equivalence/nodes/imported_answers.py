"""Answers that others produced, as the study's own are written: parsed and scored by the study's task."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.identity import write_table
from cascade_equivalence.imported.outside import outside_answers
from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.vocabulary import INVALID

NOT_KNOWN = {"prompt_sha256": pl.String, "prompt_tokens": pl.Int64, "new_tokens": pl.Int64, "seconds": pl.Float64}
"""What the study's own answers have beside them, and nobody knows of others."""


def write_imported(
    name: str,
    system: ImportedSpec,
    task: str,
    spec: TaskSpec,
    items: Sequence[Item],
    voices: Sequence[str],
    path: Path,
) -> None:
    """Parse and score an imported system's answers to clean speech, and write them to a Parquet file.

    Args:
        name: The system's name.
        system: Its entry.
        task: The task.
        spec: How the study asks it, for the words that its labels go by.
        items: Items of the task.
        voices: Voices that speak them.
        path: The answers file, with the columns of ``nodes.answers.scored_answers``.

    Raises:
        StudyError: An answer is missing or there twice, or the file has another gold label for an item.
    """
    asked = get_task(task)
    found = outside_answers(name, system, task, [item.id for item in items], voices)
    _check_golds(f"systems.{name}.answers.{task}", asked, spec, items, found)
    rows = []
    for item in items:
        for voice in voices:
            row = found[item.id, voice]
            raw = row["raw"] if row["raw"] is not None else row["answer"] or ""
            parsed = asked.parse(raw, item.options, spec.label_words, spec.answer_prefix) if raw else INVALID
            rows.append(
                {
                    "id": item.id,
                    "voice": voice,
                    "group": item.group,
                    "label": item.label,
                    "raw": raw,
                    "parsed": parsed,
                    "correct": asked.score(parsed, item),
                }
            )
    table = pl.DataFrame(rows).with_columns(pl.lit(None, kind).alias(column) for column, kind in NOT_KNOWN.items())
    write_table(table, path, {"system": name, "task": task, "condition": CLEAN})


def _check_golds(
    key: str,
    task: Task,
    spec: TaskSpec,
    items: Sequence[Item],
    found: Mapping[tuple[str, str], Mapping[str, str | None]],
) -> None:
    """Refuse a file that takes something else for right, so that it may be of other items with the same ids."""
    known, other = {item.id: item for item in items}, []
    for name, voice in found:
        label, item = found[name, voice]["label"], known[name]
        if label and label != item.label and not task.score(task.parse(label, item.options, spec.label_words), item):
            other.append(f"{name} ({label!r}, here {item.label!r})")
    if other:
        raise StudyError(f"{key}: the file has another gold label for {some_of(list(dict.fromkeys(other)), 3)}")
