"""Per-item files of Every Eval Ever (``*_samples.jsonl``), the exchange format; read as of its schema 0.3."""

from collections.abc import Iterator, Mapping
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.format import AnswerFormat, FileOptions, FileReading
from cascade_equivalence.imported.head import FileHead, rows_of
from cascade_equivalence.imported.rows import HASHED, AnswerRow, as_id, as_score, as_text, gold_option


def _is_samples(head: FileHead, _: FileOptions) -> bool:
    return head.has("schema_version", "evaluation_id", "model_id", "evaluation_name", "sample_id", "evaluation")


def _read(head: FileHead, asked: FileOptions) -> FileReading:
    reading = FileReading((), name=as_text(head.first["model_id"]) or "")
    reading.rows = _rows(head, asked, reading)
    return reading


def _rows(head: FileHead, asked: FileOptions, reading: FileReading) -> Iterator[AnswerRow]:
    taken: dict[str, str | None] = {}
    others: dict[str, None] = {}
    found = False
    for where, row in rows_of(head):
        task, result = as_text(row.get("evaluation_name")) or "", row.get("evaluation_result_id")
        # One line for each result that a sample counts in: more would be the same sample again.
        if (asked.score or taken.setdefault(task, result)) != result:
            others[str(result)] = None
            continue
        found = True
        yield _row(where, row, task)
    if not found:
        raise StudyError(f"{head.path} has no result {asked.score!r}; it has {', '.join(others)}")
    if others and not asked.score:
        reading.remarks.append(
            f"several results a sample: {', '.join(map(str, dict.fromkeys(taken.values())))} is taken, not "
            f"{', '.join(others)} (--score chooses)"
        )


def _row(where: str, row: Mapping[str, Any], task: str) -> AnswerRow:
    try:
        asked, judged = row["input"], row["evaluation"]
        final = [each for each in row.get("answer_attribution") or [] if each.get("is_terminal")]
        raw = _first((row.get("output") or {}).get("raw"))
        text, more = as_text(asked["raw"]), row.get("metadata") or {}
        known = more.get("doc_hash")
        options = tuple(map(str, asked.get("choices") or ()))
        return AnswerRow(
            # In an export of this project the item, the voice that spoke it and its group stand apart.
            id=as_id(more.get("item", row["sample_id"]), where),
            task=task,
            voice=as_text(more.get("voice")) or "" if "item" in more else "",
            group=as_text(more.get("group")) if "item" in more else None,
            label=gold_option(as_text(_first(asked["reference"])), options),
            answer=as_text(final[-1].get("extracted_value")) if final else None,
            raw=as_text(raw),
            score=as_score(judged["is_correct"], where),
            text=text,
            content=HASHED + known if known else text,
            options=options,
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise StudyError(
            f"{where} is not as Every Eval Ever's schema has it ({type(error).__name__}: {error})"
        ) from error


def _first(values: Any) -> Any:
    """The first of several; one that stands without a list around it is itself."""
    return next(iter(values), None) if isinstance(values, list) else values


EVERY_EVAL_EVER = AnswerFormat("every_eval_ever", "Every Eval Ever (*_samples.jsonl)", _is_samples, _read)
