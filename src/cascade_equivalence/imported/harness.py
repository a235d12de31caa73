"""Sample files of lm-evaluation-harness (``samples_*.jsonl``) and of lmms-eval (``*_samples_*.jsonl``).

Both write a line a document, and one for each filter of the answer; a line has the document's number, the gold target,
the answers before and after the filter, and each metric under its own name. Of a choice by likelihood the answers are
the likelihoods of the options, in their order, as texts.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.format import AnswerFormat, FileOptions, FileReading
from cascade_equivalence.imported.head import FileHead, rows_of
from cascade_equivalence.imported.rows import HASHED, AnswerRow, as_id, as_score, as_text, gold_option

_NAMES = (
    re.compile(r"^samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.:-]+$"),
    re.compile(r"^\d{8}_\d{6}_samples_(?P<task>.+)$"),
)
_NO_METRICS = {
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash"),
    *("prompt_hash", "target_hash", "input", "input_media", "token_counts", "per_sample_metrics"),
}
_OF_NORMALISED = "acc_norm"
"""The metric of lm-evaluation-harness that divides the likelihood of an option by its letters."""
PAIR = 2
"""Of a choice by likelihood: the likelihood of a text, and whether it is the likeliest that there is."""
GREEDY = ("True", "False", "0", "1")
_UNREAD = "[invalid]"
"""What a filter of lm-evaluation-harness gives where it finds no answer."""
_PREDICTED = ("parsed_pred", "pred_answer", "pred")
"""Where metrics of lmms-eval that are mappings keep the answer."""


def _is_lm_eval(head: FileHead, _: FileOptions) -> bool:
    return head.has("doc_id", "target", "filtered_resps", "arguments")


def _is_lmms_eval(head: FileHead, _: FileOptions) -> bool:
    return head.has("doc_id", "target", "filtered_resps") and not head.has("arguments")


def _read(head: FileHead, asked: FileOptions) -> FileReading:
    found = [match["task"] for pattern in _NAMES if (match := pattern.match(head.path.stem))]
    reading = FileReading((), name=head.path.resolve().parent.name if found else "")
    reading.rows = _rows(head, asked, reading, found[0] if found else "")
    return reading


def _rows(head: FileHead, asked: FileOptions, reading: FileReading, task: str) -> Iterator[AnswerRow]:
    metric, _, wanted = asked.score.partition(",")
    filters: dict[str, None] = {}
    named = head.first.get("metrics")
    named = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    metrics = list(dict.fromkeys([*named, *_metrics(head.first)]))
    if metric and metric not in metrics:
        raise StudyError(f"{head.path} has no metric {metric!r}; it has {', '.join(metrics) or 'none'}")
    rows = list(rows_of(head))
    scored = [name for name in metrics if _is_scored(head.first.get(name))]
    # One that tells right from wrong, before one that says how good.
    clear = [name for name in scored if all(_value(row.get(name)) in (0, 1) for _, row in rows)]
    chosen = metric or next(iter(clear or scored), "")
    for where, row in rows:
        used = str(row.get("filter", "none"))
        filters[used] = None
        if used == (wanted or next(iter(filters))):
            try:
                yield _row(where, row, task, chosen)
            except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
                raise StudyError(f"{where} is no sample of the harness ({type(error).__name__}: {error})") from error
    if wanted and wanted not in filters:
        raise StudyError(f"{head.path} has no filter {wanted!r}; it has {', '.join(filters)}")
    if len(filters) > 1 and not wanted:
        first, *rest = filters
        reading.remarks.append(
            f"several filters of the answers: {first} is taken, not {', '.join(rest)} (--score {chosen},{rest[0]})"
        )
    if len(scored) > 1 and not metric:
        others = ", ".join(name for name in scored if name != chosen)
        reading.remarks.append(f"several metrics: {chosen} is taken, not {others} (--score chooses)")


def _metrics(row: Mapping[str, Any]) -> list[str]:
    return [name for name in row if name not in _NO_METRICS]


def _is_scored(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, Mapping) and "score" in value)


def _value(value: Any) -> Any:
    return value.get("score") if isinstance(value, Mapping) else value


def _row(where: str, row: Mapping[str, Any], task: str, metric: str) -> AnswerRow:
    answers, target = row["filtered_resps"], as_text(row["target"])
    value = row.get(metric)
    score = as_score(_value(value), where)
    options = _options(row)
    answer, raw = _said(answers), _said(row.get("resps"))
    if (likelihoods := _likelihoods(answers)) is not None:
        answer, raw, target = _chosen(likelihoods, options, target, metric)
    elif isinstance(value, Mapping):
        answer = next((str(value[name]) for name in _PREDICTED if value.get(name) is not None), answer)
    return AnswerRow(
        id=as_id(row["doc_id"], where),
        task=task,
        label=target,
        answer=None if answer == _UNREAD else answer,
        raw=raw if raw is not None else answer,
        score=score,
        text=_asked(row),
        content=HASHED + str(row["doc_hash"]) if row.get("doc_hash") else None,
        options=options,
    )


def _likelihoods(answers: Any) -> list[float] | None:
    """The likelihoods of options; None of answers that are texts. That of a single text chooses nothing."""
    if not isinstance(answers, list) or not answers:
        return None
    # lmms-eval writes a single one without the list around it.
    pairs = answers if isinstance(answers[0], list) else [answers]
    if not all(isinstance(each, list) and len(each) == PAIR and str(each[1]) in GREEDY for each in pairs):
        return None
    try:
        return [float(each[0]) for each in pairs]
    except (TypeError, ValueError):
        return None


def _chosen(
    likelihoods: list[float], options: tuple[str, ...], target: str | None, metric: str
) -> tuple[str | None, str | None, str | None]:
    """The option with the largest likelihood, as text where that is known, else its number; and the target likewise."""
    if len(likelihoods) == 1:
        return None, None, target
    if metric == _OF_NORMALISED and len(options) == len(likelihoods):
        likelihoods = [each / max(1, len(option)) for each, option in zip(likelihoods, options, strict=True)]
    best = likelihoods.index(max(likelihoods))
    if len(options) != len(likelihoods):
        return str(best), None, target
    gold = gold_option(target, options)
    return options[best], None, gold if gold is None else gold.strip()


def _options(row: Mapping[str, Any]) -> tuple[str, ...]:
    arguments = row.get("arguments")
    if not isinstance(arguments, Mapping) or len(arguments) < 2:  # noqa: PLR2004 - two options at least
        return ()
    return tuple(str(each["arg_1"]).strip() for each in arguments.values() if "arg_1" in each)


def _said(answers: Any) -> str | None:
    """The first of several answers."""
    while isinstance(answers, list):
        if not answers:
            return None
        answers = answers[0]
    return as_text(answers)


def _asked(row: Mapping[str, Any]) -> str | None:
    arguments = row.get("arguments")
    if isinstance(arguments, Mapping) and arguments:
        return as_text(next(iter(arguments.values())).get("arg_0"))
    return as_text(row["input"]) if isinstance(row.get("input"), str) else None


LM_EVAL = AnswerFormat("lm_eval", "lm-evaluation-harness (samples_*.jsonl)", _is_lm_eval, _read)
LMMS_EVAL = AnswerFormat("lmms_eval", "lmms-eval (*_samples_*.jsonl)", _is_lmms_eval, _read)
