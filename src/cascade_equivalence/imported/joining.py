"""Joins the answers of two or three systems item by item, and says what does not join."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.imported.rows import HASHED, AnswerSet

KEY = ["id", "voice"]
SHOWN = 3


@dataclass(frozen=True)
class JoinedTask:
    """The answers of all systems to the items of one task that all of them answered.

    Attributes:
        task: The task; empty where no file says.
        tables: A table a system with the columns of ``rows.SCHEMA``, the same items in the same order, with the same
            ``label``, ``group`` and ``text``.
        apart: What does not join and is left out: a line each.
    """

    task: str
    tables: tuple[pl.DataFrame, ...]
    apart: tuple[str, ...]


def join_sets(
    sets: Sequence[AnswerSet], names: Sequence[str], tasks: Sequence[str] = (), *, ignore_texts: bool = False
) -> tuple[list[JoinedTask], list[str]]:
    """Join answers task by task.

    Args:
        sets: The systems' answers.
        names: How messages name them.
        tasks: The tasks to take; empty takes all. A file that names no task is of each of them.
        ignore_texts: Whether an item may have another text in another file.

    Returns:
        The tasks that all answered, in the order of the first, and lines on those that not all did.

    Raises:
        StudyError: A chosen task is in none of the files, or no item is in all of them.
    """
    named = {task for each in sets for task in each.tasks() if task}
    plain = {task for task in {*named, *tasks} if not task.endswith(f"/{CLEAN}")}
    named = {_plainly(task, plain) for task in named}
    # A file that names no task is of the one that the others name, where that is one.
    held = [_named(each, tasks or (tuple(named) if len(named) == 1 else ()), plain) for each in sets]
    known = list(dict.fromkeys(task for each in held for task in each))
    if missing := [task for task in tasks if task not in known]:
        raise StudyError(f"--task {missing[0]}: the files have {some_of([each or 'no name' for each in known])}")
    chosen = [task for task in known if not tasks or task in tasks]
    common = [task for task in chosen if all(task in each for each in held)]
    if not common:
        told = "; ".join(
            f"{name}: {some_of([task or 'no name' for task in each], SHOWN)}"
            for name, each in zip(names, held, strict=True)
        )
        raise StudyError(f"the files have no task in common ({told})")
    lines = []
    for task in (task for task in chosen if task not in common):
        there = [name for name, each in zip(names, held, strict=True) if task in each]
        lines.append(f"task {task or 'without a name'}: only in {' and '.join(there)}")
    return [_join(task, [each[task] for each in held], names, ignore_texts) for task in common], lines


def _named(answers: AnswerSet, tasks: Sequence[str], plain: Collection[str]) -> dict[str, pl.DataFrame]:
    """A set's tasks by name; answers of no named task are of every one that is asked for."""
    own = answers.tasks()
    parts = {}
    for (task,), part in answers.table.group_by("task", maintain_order=True):
        name = _plainly(str(task), plain)
        parts[str(task) if name in own else name] = part
    if tasks and set(parts) == {""}:
        return dict.fromkeys(tasks, parts[""])
    return parts


def _plainly(task: str, plain: Collection[str]) -> str:
    """A task of this project on clean speech as the user, or somebody else's file, calls it: without the condition."""
    name = task.removesuffix(f"/{CLEAN}")
    return name if name in plain else task


def _join(task: str, tables: Sequence[pl.DataFrame], names: Sequence[str], ignore_texts: bool) -> JoinedTask:
    lines: list[str] = []
    single = [_without_doubled(table, name, lines) for table, name in zip(tables, names, strict=True)]
    doubled = list(lines)
    single = _in_every_voice(single, names, lines)
    keys = single[0].select(KEY)
    for table in single[1:]:
        keys = keys.join(table.select(KEY), on=KEY, how="semi")
    everywhere = keys.height
    _say_missing(single, names, lines)
    if not everywhere:
        raise StudyError(_nothing_common(task, single, names, doubled))
    rows = [keys.join(table, on=KEY, how="left", maintain_order="left") for table in single]
    same = pl.repeat(True, everywhere, eager=True)
    for number in range(1, len(rows)):
        pair, both = (rows[0], rows[number]), (names[0], names[number])
        same &= _agree(pair, both, "label", "gold label", lines, _plain)
        if not ignore_texts:
            same &= _agree(pair, both, "content", "text", lines, _squeezed, shown=False)
    kept = [table.filter(same) for table in rows]
    if not kept[0].height:
        raise StudyError(f"{_of(task)}no item is the same in {' and '.join(names)}: {'; '.join(lines)}")
    shared = pl.DataFrame(
        {
            "label": _first(kept, "label"),
            "group": _first(kept, "group").fill_null(kept[0]["id"]),
            "text": _first(kept, "text"),
        }
    )
    return JoinedTask(task, tuple(table.with_columns(shared) for table in kept), tuple(lines))


def _without_doubled(table: pl.DataFrame, name: str, lines: list[str]) -> pl.DataFrame:
    """A table without items that have several answers, of which none can be chosen."""
    twice = table.filter(pl.struct(KEY).is_duplicated()).unique(KEY, maintain_order=True)
    if twice.height:
        lines.append(f"{name} has more than one answer to {_items(twice)}; none of them counts")
    return table.join(twice, on=KEY, how="anti", maintain_order="left") if twice.height else table


def _in_every_voice(tables: list[pl.DataFrame], names: Sequence[str], lines: list[str]) -> list[pl.DataFrame]:
    """Answers without a voice beside those in every voice, where another system was asked in several."""
    voiced = next((table for table in tables if (table["voice"] != "").any()), None)
    if voiced is None:
        return tables
    found = []
    for table, name in zip(tables, names, strict=True):
        if (table["voice"] == "").all():
            lines.append(f"{name} names no voices: its answer to an item is set beside those in every voice")
            table = voiced.select(KEY).join(table.drop("voice"), on="id", maintain_order="left")  # noqa: PLW2901
        found.append(table)
    return found


def _say_missing(tables: Sequence[pl.DataFrame], names: Sequence[str], lines: list[str]) -> None:
    every = pl.concat([table.select(KEY) for table in tables]).unique(maintain_order=True)
    for table, name in zip(tables, names, strict=True):
        missing = every.join(table, on=KEY, how="anti", maintain_order="left")
        if missing.height:
            lines.append(f"{name} has no answer to {_items(missing)} of {every.height:,}")


def _agree(
    pair: Sequence[pl.DataFrame],
    names: Sequence[str],
    column: str,
    what: str,
    lines: list[str],
    plain: Callable[[pl.Series], pl.Series],
    *,
    shown: bool = True,
) -> pl.Series:
    """Which rows have the same in both tables, where both have something."""
    one, other = (table[column] for table in pair)
    alike = _hashed(one) == _hashed(other)
    differs = (alike & (plain(one) != plain(other))).fill_null(False)
    if differs.any():
        rows = pair[0].filter(differs)
        first = next(zip(one.filter(differs), other.filter(differs), strict=True))
        example = f" (first: {first[0]!r:.40} and {first[1]!r:.40})" if shown else ""
        lines.append(f"{names[0]} and {names[1]} have another {what} for {_items(rows)}{example}; left out")
    return ~differs


def _plain(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars().str.to_lowercase()


def _squeezed(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(r"\s+", " ").str.strip_chars()


def _hashed(texts: pl.Series) -> pl.Series:
    """Where a hash stands in the place of a text, which is compared with no text."""
    return texts.str.contains(f"^(?:{HASHED}|sha256:[0-9a-f]{{64}}$)")


def _first(tables: Sequence[pl.DataFrame], column: str) -> pl.Series:
    """What the first table that has something says: words before a hash of them."""
    found = tables[0][column]
    for table in tables[1:]:
        worse = found.is_null() | (_hashed(found) & ~_hashed(table[column])).fill_null(False)
        found = table[column].zip_with(worse, found)
    return found.alias(column)


def _items(rows: pl.DataFrame) -> str:
    """How many items, and the first of them."""
    shown = [f"{name} ({voice})" if voice else name for name, voice in rows.select(KEY).head(SHOWN).iter_rows()]
    count = f"{rows.height:,} item{'' if rows.height == 1 else 's'}"
    return f"{count} ({', '.join(shown)}{', ...' if rows.height > SHOWN else ''})"


def _nothing_common(task: str, tables: Sequence[pl.DataFrame], names: Sequence[str], doubled: Sequence[str]) -> str:
    if not all(table.height for table in tables):
        return f"{_of(task)}{'; '.join(doubled)}: give the answers of one system, each once"
    like = "; ".join(
        f"{name}: {', '.join(map(repr, table['id'].head(SHOWN).to_list()))}"
        for name, table in zip(names, tables, strict=True)
    )
    return f"{_of(task)}no item has an answer in all files; are the ids of one kind? ({like})"


def _of(task: str) -> str:
    return f"task {task}: " if task else ""
