"""Logs of Inspect (``.eval``, or JSON), read through its own package, which has to be installed beside this one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.format import AnswerFormat, FileOptions, FileReading
from cascade_equivalence.imported.head import FileHead
from cascade_equivalence.imported.rows import AnswerRow, as_id, as_score, as_text

_SKIPPED = {"events", "events_data", "messages", "store", "timelines"}
"""Most of a log, and nothing of an answer."""


def _is_log(head: FileHead, _: FileOptions) -> bool:
    if head.kind == "zip":
        return any(name == "header.json" or name.startswith("_journal/") for name in head.members)
    return head.has("version", "status", "eval") and isinstance(head.first["eval"], Mapping)


def _read(head: FileHead, asked: FileOptions) -> FileReading:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise StudyError(
            f"{head.path} is a log of Inspect, which is read through its own package: pip install inspect_ai"
        ) from error
    try:
        log = read_eval_log(
            str(head.path),
            resolve_attachments="core",
            format="eval" if head.kind == "zip" else "json",
            exclude_fields=_SKIPPED,
        )
    except Exception as error:  # what another package raises on a broken file is its own affair
        raise StudyError(f"{head.path} cannot be read by inspect_ai ({type(error).__name__}: {error})") from error
    if not log.samples:
        raise StudyError(f"{head.path} has no samples (its status is {log.status}); log them, or name another file")
    reading = FileReading((), name=log.eval.model)
    if log.status != "success":
        reading.remarks.append(f"the run is not complete: its status is {log.status}")
    scorer = _scorer(head, asked, log.samples, reading)
    reading.rows = _rows(head, log, scorer, reading)
    return reading


def _scorer(head: FileHead, asked: FileOptions, samples: Sequence[Any], reading: FileReading) -> str:
    """The scorer whose scores count: the one that is asked for, else the first."""
    names = list(dict.fromkeys(name for sample in samples for name in sample.scores or {}))
    if asked.score and asked.score not in names:
        raise StudyError(f"{head.path} has no score {asked.score!r}; it has {', '.join(names) or 'none'}")
    taken = asked.score or (names[0] if names else "")
    if len(names) > 1 and not asked.score:
        others = ", ".join(name for name in names if name != taken)
        reading.remarks.append(f"several scorers: {taken} is taken, not {others} (--score chooses)")
    return taken


def _rows(head: FileHead, log: Any, scorer: str, reading: FileReading) -> Iterator[AnswerRow]:
    several = len({sample.epoch for sample in log.samples}) > 1
    failed = 0
    for sample in log.samples:
        where = f"{head.path}, sample {sample.id}"
        score = (sample.scores or {}).get(scorer)
        value = None if score is None else as_score(_scalar(score.value, where), where)
        # What ended in an error, or was not scored, was asked: it counts as no answer, which is wrong.
        lost = value is None and bool(scorer)
        failed += lost
        text = _text(sample.input)
        targets = [sample.target] if isinstance(sample.target, str) else list(sample.target)
        yield AnswerRow(
            id=as_id(sample.id, where),
            task=log.eval.task,
            voice=f"epoch {sample.epoch}" if several else "",
            label=as_text(targets[0]) if targets else None,
            answer=None if lost or score is None else as_text(score.answer),
            raw=None if lost else as_text(sample.output.completion),
            score=0.0 if lost else value,
            text=text,
            content=text,
            options=tuple(sample.choices or ()),
        )
    if failed:
        reading.remarks.append(f"{failed:,} samples have no score (an error, or unscored): they count as invalid")


def _scalar(value: Any, where: str) -> Any:
    """The number of a score; of one with several named values none can be chosen."""
    if isinstance(value, Mapping):
        raise StudyError(f"{where}: its score has several values ({', '.join(value)}); compare a log with one")
    if isinstance(value, Sequence) and not isinstance(value, str):
        raise StudyError(f"{where}: its score is a list; compare a log with one value a sample")
    return value


def _text(asked: Any) -> str | None:
    """The words of an input: of a conversation those of its last user."""
    if isinstance(asked, str):
        return as_text(asked)
    said = [message.text for message in asked if message.role == "user"]
    return as_text(said[-1]) if said else None


INSPECT = AnswerFormat("inspect", "Inspect (*.eval, *.json; needs inspect_ai)", _is_log, _read)
