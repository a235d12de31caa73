"""Plain tables: CSV, JSON lines, JSON or Parquet with a column ``id``, and ``answer`` or ``correct`` or both."""

from collections.abc import Container, Iterator
from typing import Any, get_args

from cascade_equivalence.config.imported import AnswerField
from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.format import AnswerFormat, FileOptions, FileReading
from cascade_equivalence.imported.head import FileHead, rows_of
from cascade_equivalence.imported.rows import AnswerRow, as_id, as_score, as_text

FIELDS: tuple[str, ...] = get_args(AnswerField)
SAYS = ("answer", "correct", "raw")
"""One of these must be there."""
BETWEEN = "|"
"""Between options in one cell."""


def columns_of(there: Container[str], asked: FileOptions) -> dict[str, str]:
    """The column of each field that is there: the one that the user names, else the field's own."""
    # Where a table has several scores, the one that is asked for says what is right.
    scored = {"correct": asked.score} if asked.score else {}
    named = {name: name for name in FIELDS} | scored | dict(asked.columns)
    return {
        name: column if column in there else name for name, column in named.items() if column in there or name in there
    }


def what_is_missing(head: FileHead, asked: FileOptions) -> str:
    """Why a file is no plain table of answers: empty where it is one."""
    there = columns_of(head.first, asked)
    missing = [] if "id" in there else ["id"]
    missing += [] if any(name in there for name in SAYS) else ["answer"]
    if not missing or head.kind == "zip":
        return ""
    example = ",".join(f"{name}=..." for name in missing)
    return f"no column {' and none '.join(missing)}; it has {', '.join(head.first)}. Name yours: --map {example}"


def _is_plain(head: FileHead, asked: FileOptions) -> bool:
    return head.kind != "zip" and not what_is_missing(head, asked)


def _read(head: FileHead, asked: FileOptions) -> FileReading:
    if problem := what_is_missing(head, asked):
        raise StudyError(f"{head.path} has {problem}")
    reading = FileReading(())
    reading.rows = _rows(head, asked, reading)
    return reading


def _rows(head: FileHead, asked: FileOptions, reading: FileReading) -> Iterator[AnswerRow]:
    rows = list(rows_of(head))
    # In JSON a row may leave out what it has nothing for, the first one too.
    there = dict.fromkeys(name for _, row in rows for name in row)
    columns = columns_of(there, asked)
    if asked.score and asked.score not in there:
        raise StudyError(f"{head.path} has no score {asked.score!r}; it has {', '.join(map(str, there))}")
    for name, column in asked.columns.items():
        if column not in there:
            reading.lacking.append(name)
            taken = f"{name!r} is taken" if name in there else f"there is no {name}"
            reading.remarks.append(f"no column {column!r}; {taken}")
    for where, row in rows:
        if columns["id"] not in row:
            raise StudyError(f"{where}: there is no {columns['id']!r}, which the first row has")
        cell = {name: row.get(column) for name, column in columns.items()}
        text = as_text(cell.get("text"))
        yield AnswerRow(
            id=as_id(cell["id"], where),
            task=as_text(cell.get("task")) or "",
            voice=as_text(cell.get("voice")) or "",
            group=as_text(cell.get("group")),
            label=as_text(cell.get("label")),
            answer=as_text(cell.get("answer")),
            raw=as_text(cell.get("raw")),
            score=as_score(cell.get("correct"), where),
            text=text,
            content=text,
            options=_options(cell.get("options"), where),
        )


def _options(value: Any, where: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(entry.strip() for entry in value.split(BETWEEN))
    if isinstance(value, list):
        return tuple(map(str, value))
    raise StudyError(f"{where}: options are {value!r}; write them as a list, or with {BETWEEN} between them")


PLAIN = AnswerFormat("table", "CSV, JSON lines, JSON or Parquet with columns id, answer, label", _is_plain, _read)
