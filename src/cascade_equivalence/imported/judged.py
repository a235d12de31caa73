"""What is compared of answers: labels, by a task's own parser or as texts; or scores, where only these say anything."""

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import polars as pl

from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.imported.joining import JoinedTask
from cascade_equivalence.stats.answers import COLUMNS
from cascade_equivalence.vocabulary import INVALID

if TYPE_CHECKING:
    from cascade_equivalence.tasks.base import Task

By = Literal["auto", "answers", "scores"]
RIGHT, WRONG = "right", "wrong"
NOT_GIVEN = "(not given)"
QUOTED = f"'{INVALID}'"
"""A gold label that is called as the category of answers that are none."""
MOST_LABELS = 50
ROWS_A_LABEL = 2


@dataclass(frozen=True)
class JudgedAnswers:
    """The answers of all systems to one task, as the statistics take them.

    Attributes:
        by: What is compared: ``answers`` or ``scores``.
        labels: The closed set that answers are from; empty where they are free.
        tables: A table a system, with the columns in ``stats.answers.COLUMNS``.
        remarks: What a reader has to know of it, a line each.
    """

    by: Literal["answers", "scores"]
    labels: tuple[str, ...]
    tables: tuple[pl.DataFrame, ...]
    remarks: tuple[str, ...]


def judge_answers(
    joined: JoinedTask,
    names: Sequence[str],
    *,
    task: "Task | None" = None,
    by: By = "auto",
    labels: Sequence[str] = (),
) -> JudgedAnswers:
    """Say of each answer which label it is, and whether it is right.

    Args:
        joined: The systems' answers to the same items.
        names: How messages name the systems.
        task: The project's task whose parser reads answers and labels; None compares them as texts, trimmed and
            without regard to case.
        by: What to compare; ``auto`` takes answers, and scores where a system has no answers, or where most free
            answers that are right in both are not the same text, so that texts say little.
        labels: The closed set of labels, where the user names it.

    Raises:
        StudyError: There is nothing to tell right from wrong by, or no answers where these are to be compared.
    """
    silent = [name for name, table in zip(names, joined.tables, strict=True) if _has_scores_alone(table)]
    if by == "answers" and silent:
        raise StudyError(f"{' and '.join(silent)}: there are no answers, only scores; compare with --by scores")
    if by == "scores":
        return _by_scores(joined, names, ())
    if silent:
        return _by_scores(joined, names, [f"compared by right and wrong: no answers of {' and '.join(silent)}"])
    found = _by_answers(joined, names, task, tuple(labels))
    if by == "auto" and task is None and (wordy := _wordy(found)):
        return _by_scores(joined, names, [wordy])
    return found


def _has_scores_alone(table: pl.DataFrame) -> bool:
    said = (table["answer"].is_not_null() | table["raw"].is_not_null()).any()
    return not said and bool(table["score"].is_not_null().any())


def _wordy(found: JudgedAnswers) -> str:
    """Why texts of answers say little: two right ones are mostly other texts. Empty where they do say something."""
    one, other = found.tables[:2]
    right = one["correct"] & other["correct"]
    apart = right & (one["parsed"] != other["parsed"])
    if found.labels or 2 * int(apart.sum()) <= int(right.sum()):
        return ""
    return (
        f"compared by right and wrong: of {_count(right)} items that both have right, the answers to {_count(apart)} "
        "are other texts (--by answers compares texts)"
    )


def _by_scores(joined: JoinedTask, names: Sequence[str], remarks: Sequence[str]) -> JudgedAnswers:
    tables = []
    for name, table in zip(names, joined.tables, strict=True):
        score = table["score"]
        if score.is_null().any():
            parsed, label = _as_texts(table)
            if _has_scores_alone(table) or label.is_null().any():
                raise StudyError(f"{name}: {_count(score.is_null())} answers have no score, and no gold label either")
            score = score.fill_null((parsed == label).cast(pl.Float64))
        said = pl.Series("parsed", [RIGHT if value == 1 else WRONG for value in score])
        tables.append(_table(table, pl.Series("label", [RIGHT] * table.height), said, said == RIGHT))
    return JudgedAnswers("scores", (RIGHT, WRONG), tuple(tables), tuple(remarks))


def _by_answers(
    joined: JoinedTask, names: Sequence[str], task: "Task | None", labels: tuple[str, ...]
) -> JudgedAnswers:
    remarks: list[str] = []
    asked = bool(labels or task is not None)
    reading = list(map(_as_texts, joined.tables)) if task is None else list(_parsed(joined, task))
    if task is not None and _foreign(reading, task):
        remarks.append(f"the gold labels are not those of the task {task.name}; answers are compared as texts")
        task, reading = None, list(map(_as_texts, joined.tables))
    if task is None and not labels and (chosen := _by_options(joined.tables, reading)) is not None:
        labels, reading = chosen
    elif labels:
        sides = zip(joined.tables, reading, names, strict=True)
        reading = [_closed(table, each, labels, name) for table, each, name in sides]
        labels = tuple(_plain(label) for label in labels)
    elif task is not None:
        labels = tuple(task.labels)
    if any(label.is_null().any() for _, label in reading):
        labels = ()  # without gold labels there is no level of chance to tell
    tables, contradicted = [], False
    for name, table, (parsed, label) in zip(names, joined.tables, reading, strict=True):
        correct, other = _correct(table, parsed, label, name, closed=asked and bool(labels))
        contradicted |= bool(other)
        remarks += other
        tables.append(_table(table, label.fill_null(NOT_GIVEN), parsed, correct))
    if not asked:
        labels = () if contradicted else labels or _inferred(tables)
    return JudgedAnswers("answers", labels, tuple(tables), tuple(remarks))


def _correct(
    table: pl.DataFrame, parsed: pl.Series, label: pl.Series, name: str, *, closed: bool
) -> tuple[pl.Series, list[str]]:
    """Which answers are right: by the file's score where there is one, and by the label; and where the two differ."""
    score = table["score"]
    by_label = (parsed == label) & (parsed != INVALID)
    if (neither := score.is_null() & label.is_null()).any():
        where = some_of(table.filter(neither)["id"].to_list(), 3)
        raise StudyError(
            f"{name}: neither a gold label nor a score for {_count(neither)} answers ({where}); add a column `label` "
            "or `correct`"
        )
    by_label = by_label.fill_null(False)
    differs = (by_label != (score == 1)).fill_null(False) & label.is_not_null()
    if not differs.any():
        return by_label.zip_with(label.is_not_null(), score == 1), []
    rule = "the label" if closed else "the file's score"
    remark = f"{name}: {_count(differs)} answers are scored otherwise in the file than by their label; {rule} counts"
    return (by_label if closed else by_label.zip_with(score.is_null(), score == 1)), [remark]


def _table(table: pl.DataFrame, label: pl.Series, parsed: pl.Series, correct: pl.Series) -> pl.DataFrame:
    return table.with_columns(label=label, parsed=parsed.fill_null(INVALID), correct=correct.cast(pl.Boolean)).select(
        COLUMNS
    )


def _plain(text: str) -> str:
    return text.strip().casefold()


def _as_texts(table: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Answers and gold labels as texts, trimmed and without regard to case; an empty answer is ``invalid``."""
    answers = table["answer"] if table["answer"].is_not_null().any() else table["raw"]
    parsed = [_plain(text) or INVALID if text is not None else INVALID for text in answers]
    labels = [None if text is None else _plain(text) for text in table["label"]]
    if INVALID in labels:  # as where the question is whether an argument is valid: that is an answer
        there = [bool(text and _plain(text)) for text in answers]
        parsed = [QUOTED if text == INVALID and said else text for text, said in zip(parsed, there, strict=True)]
        labels = [QUOTED if text == INVALID else text for text in labels]
    return pl.Series("parsed", parsed, dtype=pl.String), pl.Series("label", labels, dtype=pl.String)


def _parsed(joined: JoinedTask, task: "Task") -> Iterator[tuple[pl.Series, pl.Series]]:
    """Answers and gold labels as the task reads them."""

    @cache
    def read(text: str, options: tuple[str, ...]) -> str:
        return task.parse(text, options, {})

    for table in joined.tables:
        options = [tuple(each or ()) for each in table["options"].to_list()]
        said = table["raw"].zip_with(table["raw"].is_not_null(), table["answer"])
        parsed = [INVALID if text is None else read(text, each) for text, each in zip(said, options, strict=True)]
        golds = [
            None if text is None else text if text in task.labels else read(text, each)
            for text, each in zip(table["label"], options, strict=True)
        ]
        yield pl.Series("parsed", parsed, dtype=pl.String), pl.Series("label", golds, dtype=pl.String)


def _foreign(reading: Sequence[tuple[pl.Series, pl.Series]], task: "Task") -> bool:
    """Whether some gold label is none of the task's."""
    return any(
        bool((label == INVALID).any()) or bool(task.labels and not label.drop_nulls().is_in(task.labels).all())
        for _, label in reading
    )


def _by_options(
    tables: Sequence[pl.DataFrame], reading: Sequence[tuple[pl.Series, pl.Series]]
) -> tuple[tuple[str, ...], list[tuple[pl.Series, pl.Series]]] | None:
    """Answers as the options they name, others being ``invalid``, and the closed set; None where items have no options.

    Where all items have the same options they go by their texts, else by their letters.
    """
    options = [[tuple(map(_plain, each or ())) for each in table["options"].to_list()] for table in tables]
    if not all(all(each) for each in options):
        return None
    different = {each for own in options for each in own}
    by_text = len(different) == 1
    found = []
    for (parsed, label), own in zip(reading, options, strict=True):
        golds = [text if text is None else _option(text, each, by_text) for text, each in zip(label, own, strict=True)]
        if any(gold is None and text is not None for gold, text in zip(golds, label, strict=True)):
            return None
        said = [_option(text, each, by_text) or INVALID for text, each in zip(parsed, own, strict=True)]
        found.append((pl.Series("parsed", said, dtype=pl.String), pl.Series("label", golds, dtype=pl.String)))
    return different.pop() if by_text else tuple(string.ascii_uppercase[: max(map(len, different))]), found


def _option(text: str, options: tuple[str, ...], by_text: bool) -> str | None:
    """The option that is named by its text or its letter, as a text or a letter; None where none is."""
    letters = string.ascii_lowercase[: len(options)]
    if text not in options and (len(text) != 1 or text not in letters):
        return None
    place = options.index(text) if text in options else letters.index(text)
    return options[place] if by_text else letters[place].upper()


def _closed(
    table: pl.DataFrame, reading: tuple[pl.Series, pl.Series], labels: tuple[str, ...], name: str
) -> tuple[pl.Series, pl.Series]:
    """Answers from a set that the user names; others are ``invalid``."""
    known, (parsed, label) = [_plain(each) for each in labels], reading
    if INVALID in known:
        raise StudyError(f"--labels: {INVALID!r} stands for answers that are none; leave it out, or rename the label")
    if (strange := label.is_not_null() & ~label.is_in(known)).any():
        first = table.filter(strange).row(0, named=True)
        raise StudyError(f"--labels: {name} has the gold label {first['label']!r} ({first['id']}), which is not named")
    return pl.Series("parsed", [text if text in known else INVALID for text in parsed]), label


def _inferred(tables: Sequence[pl.DataFrame]) -> tuple[str, ...]:
    """The closed set that gold labels are from; empty where answers are free, or some is none of the labels."""
    golds = tables[0]["label"].unique().sort().to_list()
    rows = tables[0].height
    if NOT_GIVEN in golds or not 1 < len(golds) <= MOST_LABELS or rows < ROWS_A_LABEL * len(golds):
        return ()
    closed = all(table["parsed"].is_in([*golds, INVALID]).all() for table in tables)
    return tuple(golds) if closed and INVALID not in golds else ()


def _count(rows: pl.Series) -> str:
    return f"{int(rows.sum()):,}"
