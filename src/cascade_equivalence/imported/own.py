"""This project's own answers: the Parquet files below ``answers/`` of a study's results."""

from collections.abc import Iterator

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import INVALID
from cascade_equivalence.identity import names_in
from cascade_equivalence.imported.format import AnswerFormat, FileOptions, FileReading
from cascade_equivalence.imported.head import FileHead, rows_of
from cascade_equivalence.imported.rows import AnswerRow


def _is_own(head: FileHead, _: FileOptions) -> bool:
    return head.kind == "parquet" and head.has("id", "voice", "group", "label", "raw", "parsed", "correct")


def _read(head: FileHead, _: FileOptions) -> FileReading:
    of = names_in(head.path)
    heard = [f"heard in {of['condition']}"] if of.get("condition", CLEAN) != CLEAN else []
    return FileReading(_rows(head, of.get("task", "")), name=of.get("system", ""), remarks=heard)


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
