"""Answers of a system of a study that answered elsewhere: read from its file, and held against the study's items."""

from collections.abc import Collection, Mapping

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.imported.format import FileOptions
from cascade_equivalence.imported.read import read_answers
from cascade_equivalence.imported.rows import one_line

SHOWN = 3


def outside_answers(
    name: str, spec: ImportedSpec, task: str, items: Collection[str] | None, voices: Collection[str]
) -> dict[tuple[str, str], Mapping[str, str | None]]:
    """The answers of an imported system to a task.

    Args:
        name: The system's name in the study.
        spec: Its entry.
        task: The task.
        items: Ids of the study's items; None where they are not known yet, so that none can be missing.
        voices: Voices that speak them in the study.

    Returns:
        By (id, voice) of every item in every voice, the columns of ``imported.rows.SCHEMA``; answers to items that the
        study does not ask are left out.

    Raises:
        StudyError: The file cannot be read, or has an answer twice or not at all; the message names the entry.
    """
    key = f"systems.{name}.answers.{task}"
    try:
        found = read_answers(
            spec.answers[task], FileOptions({str(k): v for k, v in spec.columns.items()}), spec.format or ""
        )
    except StudyError as error:
        raise StudyError(one_line(f"{key}: {error}")) from error
    if found.lacking:
        field = found.lacking[0]
        column = next(value for name, value in spec.columns.items() if name == field)
        raise StudyError(one_line(f"systems.{name}.columns.{field}: {found.path} has no column {column!r}"))
    table = found.table
    if (named := table.filter(pl.col("task") != "")).height:
        table = table.filter(pl.col("task").is_in(["", task, f"{task}/{CLEAN}"]))
        if not table.height:
            told = some_of(named["task"].unique(maintain_order=True).to_list(), SHOWN)
            raise StudyError(f"{key}: {found.path} has no answers to {task}, but to {told}")
    wanted = set(table["id"]) if items is None else set(items)
    rows: dict[tuple[str, str], Mapping[str, str | None]] = {}
    doubled: list[str] = []
    for row in table.iter_rows(named=True):
        if row["id"] not in wanted:
            continue
        for voice in [row["voice"]] if row["voice"] else voices:
            if rows.setdefault((row["id"], voice), row) is not row:
                doubled.append(_place(row["id"], row["voice"]))
    lines = [f"more than one answer to {_some(doubled)}"] if doubled else []
    if items is not None and (
        missing := [(item, voice) for item in items for voice in voices if (item, voice) not in rows]
    ):
        lines.append(f"no answer to {_some([_place(item, voice) for item, voice in missing])}")
    if lines:
        raise StudyError(one_line(f"{key}: {found.path} has {' and '.join(lines)}"))
    return {place: row for place, row in rows.items() if place[1] in voices}


def _place(item: str, voice: str) -> str:
    return f"{item} in voice {voice}" if voice else item


def _some(places: list[str]) -> str:
    return some_of(list(dict.fromkeys(places)), SHOWN)
