"""Reads a file of answers, or a folder of such files, in whichever format it is written."""

from pathlib import Path

import polars as pl

from cascade_equivalence.config.names import FORMATS
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.imported.format import AnswerFormat, FileOptions
from cascade_equivalence.imported.head import FileHead, read_head
from cascade_equivalence.imported.plain import what_is_missing
from cascade_equivalence.imported.rows import AnswerSet, as_table, with_clear_scores

ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".eval")
"""What is looked into in a folder."""


def read_answers(path: Path, asked: FileOptions | None = None, format_name: str = "") -> AnswerSet:
    """Read the answers of one system.

    Args:
        path: A file, or a folder: of that every file that holds answers, and a file that names no task is a task of
            its own, called by its path.
        asked: What the user says of the file.
        format_name: A format in ``FORMATS``; empty finds it by what the file holds.

    Raises:
        StudyError: There is no such file, it is in none of the formats, or broken.
    """
    asked = asked or FileOptions()
    if not path.is_dir():
        return _read_file(read_head(path), asked, format_name)
    sets = []
    for file in sorted(each for each in path.rglob("*") if each.suffix in ENDINGS and each.is_file()):
        head = read_head(file)
        if format_name or _format_of(head, asked) is not None:
            found = _read_file(head, asked, format_name)
            name = file.relative_to(path).with_suffix("").as_posix()
            own = found.table.with_columns(task=pl.when(pl.col("task") == "").then(pl.lit(name)).otherwise("task"))
            sets.append((found, own))
    if not sets:
        raise StudyError(f"{path} is a folder without a file of answers ({', '.join(ENDINGS)})")
    names, remarks = {found.name for found, _ in sets}, [remark for found, _ in sets for remark in found.remarks]
    return AnswerSet(
        path=path,
        format=", ".join(dict.fromkeys(found.format for found, _ in sets)),
        name=names.pop() if len(names) == 1 else "",
        table=pl.concat([own for _, own in sets]),
        remarks=tuple(dict.fromkeys(remarks)),
        lacking=tuple(field for field in asked.columns if all(field in found.lacking for found, _ in sets)),
    )


def _read_file(head: FileHead, asked: FileOptions, format_name: str) -> AnswerSet:
    known = FORMATS.find(format_name) if format_name else _format_of(head, asked)
    if known is None:
        raise StudyError(_unknown(head, asked))
    if format_name and not known.recognise(head, asked):
        other = _format_of(head, asked)
        found = f"like {other.title}" if other else f"it has {what_is_missing(head, asked).rpartition('it has ')[2]}"
        raise StudyError(f"{head.path} does not look like {known.title}: {'it looks ' if other else ''}{found}")
    reading = known.read(head, asked)
    table = as_table(reading.rows)
    if not table.height:
        raise StudyError(f"{head.path} has no answers")
    table, remarks = with_clear_scores(table, head.path)
    return AnswerSet(head.path, known.name, reading.name, table, (*reading.remarks, *remarks), tuple(reading.lacking))


def _format_of(head: FileHead, asked: FileOptions) -> AnswerFormat | None:
    return next((each for each in FORMATS.values() if each.recognise(head, asked)), None)


def _unknown(head: FileHead, asked: FileOptions) -> str:
    """What to say of a file in no format."""
    formats = ", ".join(FORMATS)
    if head.kind == "zip":
        return f"{head.path} is an archive of {some_of(head.members, 3)}, which is no format of answers ({formats})"
    return f"{head.path} is in no format that is known ({formats}). As a table it has {what_is_missing(head, asked)}"
