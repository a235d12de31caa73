"""Answers as every format gives them: a row an answer. Open it to see what a reader has to find in a file."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cascade_equivalence.errors import StudyError, some_of

PLACE = ["task", "id", "voice"]
"""What an answer is to."""
SCHEMA = pl.Schema(
    {
        "task": pl.String(),
        "id": pl.String(),
        "voice": pl.String(),
        "group": pl.String(),
        "label": pl.String(),
        "answer": pl.String(),
        "raw": pl.String(),
        "score": pl.Float64(),
        "text": pl.String(),
        "content": pl.String(),
        "options": pl.List(pl.String()),
    }
)


class AnswerRow(NamedTuple):
    """One answer.

    Attributes:
        id: The item.
        task: The task; empty where the file does not say.
        voice: The voice that spoke the item, or which of several times it was asked; empty where there is one.
        group: Items of one group are not independent; None where the file does not say.
        label: The gold label; None where the file does not say.
        answer: The answer as the file's own program read it; None where it found none, or where only ``raw`` is there.
        raw: The whole answer; None where the file does not keep it.
        score: 1 for right and 0 for wrong, by the file's own program; None where it did not score the answer.
        text: What the item asks, to be shown.
        content: What must be the same in two files for an id to mean one item: its text, or a hash of it.
        options: Answer options in the order of their letters.
    """

    id: str
    task: str = ""
    voice: str = ""
    group: str | None = None
    label: str | None = None
    answer: str | None = None
    raw: str | None = None
    score: float | None = None
    text: str | None = None
    content: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswerSet:
    """The answers of one system.

    Attributes:
        path: The file or folder they were read from.
        format: Name of its format.
        name: What the system is called there; empty where nothing says so.
        table: A row an answer, with the columns in ``SCHEMA``; ids may occur more than once.
        remarks: What a reader of the numbers has to know of how the file was read, a line each.
        lacking: Fields whose column the user names, and no file has.
    """

    path: Path
    format: str
    name: str
    table: pl.DataFrame
    remarks: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    def tasks(self) -> list[str]:
        """Its tasks in the file's order."""
        return self.table["task"].unique(maintain_order=True).to_list()


def as_table(rows: Iterable[AnswerRow]) -> pl.DataFrame:
    """Rows as a table with the columns in ``SCHEMA``."""
    columns = list(zip(*rows, strict=True)) or [()] * len(AnswerRow._fields)
    by_name = dict(zip(AnswerRow._fields, columns, strict=True))
    return pl.DataFrame(
        {name: pl.Series(name, list(by_name[name]), dtype=kind, strict=True) for name, kind in SCHEMA.items()}
    )


def as_id(value: object, where: str) -> str:
    """An id as a text; a whole number is the same whether a file holds it as a number or as text.

    Raises:
        StudyError: It is none.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    name = "" if value is None or isinstance(value, bool | list | dict) else str(value).strip()
    if not name:
        raise StudyError(f"{where}: the item has no id, but {value!r}")
    return name


HASHED = "hash "
"""Before the hash of an item in ``content``, which is compared with no text."""


def gold_option(target: str | None, options: tuple[str, ...]) -> str | None:
    """A gold label as the text of its option, where the file gives its number, from 0 on."""
    if target is not None and target.isdecimal() and target not in options and int(target) < len(options):
        return options[int(target)]
    return target


def one_line(text: str) -> str:
    """A text on one line without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def as_text(value: object) -> str | None:
    """A cell as a text: None where it is empty."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


_WORDS = {
    **dict.fromkeys(("true", "yes", "c", "correct", "right"), 1.0),
    **dict.fromkeys(("false", "no", "i", "n", "incorrect", "wrong"), 0.0),
    "p": 0.5,
}


def as_score(value: object, where: str) -> float | None:
    """Whether an answer is right, as files say it: true, 1, C, yes; None where they say nothing (also not a number).

    Raises:
        StudyError: It says something else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool | int | float):
        return None if math.isnan(value) else float(value)
    word = str(value).strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        number = float(word)
    except ValueError:
        raise StudyError(f"{where}: {str(value)[:40]!r} says neither right nor wrong; write 1 or 0") from None
    return None if math.isnan(number) else number


def with_clear_scores(table: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """A table whose scores tell right from wrong, and what to know of them: a line, or none.

    Where none of the scores is 0 or 1 they are left out if answers and gold labels are there to compare instead.

    Raises:
        StudyError: Nothing tells right from wrong.
    """
    scores = table["score"].drop_nulls()
    between = scores.filter(~scores.is_in([0.0, 1.0]))
    if not len(between):
        return table, []
    shown = some_of([f"{value:g}" for value in between.unique().sort().to_list()], 3)
    if len(between) < len(scores):
        some = f"{len(between):,} of {len(scores):,} scores are neither 0 nor 1 ({shown})"
        return table, [f"{some}; only 1 counts as right"]
    if table["answer"].is_not_null().any() and table["label"].is_not_null().all():
        plain = table.with_columns(score=pl.lit(None, pl.Float64))
        return plain, [f"no score is 0 or 1 ({shown}); right is an answer that is its gold label"]
    raise StudyError(
        f"{path}: its scores are neither 0 nor 1 ({shown}), so right cannot be told from wrong; choose another "
        "with --score"
    )
