"""This project's own answers: the Parquet files below ``answers/`` of a study's results."""

from collections.abc import Iterator

from cascade_equivalence.config.names import INVALID
from cascade_equivalence.imported.format import AnswerFormat, FileOptions, FileReading
from cascade_equivalence.imported.head import FileHead, rows_of
from cascade_equivalence.imported.rows import AnswerRow


def _is_own(head: FileHead, _: FileOptions) -> bool:
    return head.kind == "parquet" and head.has("id", "voice", "group", "label", "raw", "parsed", "correct")


def _read(head: FileHead, _: FileOptions) -> FileReading:
    return FileReading(_rows(head))


def _rows(head: FileHead) -> Iterator[AnswerRow]:
    for _, row in rows_of(head):
        yield AnswerRow(
            id=row["id"],
            voice=row["voice"],
            group=row["group"],
            label=row["label"],
            answer=None if row["parsed"] == INVALID else row["parsed"],
            raw=row["raw"],
            score=float(row["correct"]),
        )


OWN_ANSWERS = AnswerFormat("cascade_equivalence", "a study of this project (answers/*.parquet)", _is_own, _read)
