"""This project's own answers: the Parquet files below ``answers/`` of a study's results."""

from collections.abc import Iterator

from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import names_in
from cascade_equivalence.imported.format import AnswerFormat, FileOptions, FileReading
from cascade_equivalence.imported.head import FileHead, rows_of
from cascade_equivalence.imported.rows import AnswerRow
from cascade_equivalence.vocabulary import INVALID

SCORE = "correct"
"""The one score that there is: what the study's own parser and gold labels say."""


def _is_own(head: FileHead, _: FileOptions) -> bool:
    return head.kind == "parquet" and head.has("id", "voice", "group", "label", "raw", "parsed", "correct")


def _read(head: FileHead, asked: FileOptions) -> FileReading:
    if asked.score not in ("", SCORE):
        raise StudyError(f"{head.path} has no score {asked.score!r}; it has {SCORE}")
    of = names_in(head.path)
    # As the files of a folder are told apart: a task that was heard in noise is another one.
    task = f"{of['task']}/{of['condition']}" if {"task", "condition"} <= of.keys() else ""
    return FileReading(_rows(head, task), name=of.get("system", ""))


def _rows(head: FileHead, task: str) -> Iterator[AnswerRow]:
    for _, row in rows_of(head):
        yield AnswerRow(
            id=row["id"],
            task=task,
            voice=row["voice"],
            group=row["group"],
            label=row["label"],
            answer=None if row["parsed"] == INVALID else row["parsed"],
            raw=row["raw"],
            score=float(row["correct"]),
        )


OWN_ANSWERS = AnswerFormat("cascade_equivalence", "a study of this project (answers/*.parquet)", _is_own, _read)
