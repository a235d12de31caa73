"""The items file: what a task asks, ready to be spoken."""

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.identity import write_table
from cascade_equivalence.tasks.base import Item

SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "text": pl.String(),
        "options": pl.List(pl.String()),
        "label": pl.String(),
        "aliases": pl.List(pl.String()),
        "group": pl.String(),
        "style": pl.String(),
    }
)
WIDER = pl.Schema({**SCHEMA, "wider": pl.List(pl.Struct({"grouping": pl.String(), "group": pl.String()}))})
"""Columns where items name wider groups."""
LONGEST_ID = 200
"""Bytes of an item's id, with room for a voice and an extension in the 255 of a file's name."""
_LONGEST_SHOWN = 80


def check_items(items: Sequence[Item], labels: Sequence[str] = (), source: str = "the items") -> None:
    """Refuse items that later stages would stumble over.

    Args:
        items: The items.
        labels: The closed label set, if there is one.
        source: Where the items come from, for the message.

    Raises:
        StudyError: If ids repeat, a text has nothing to say, or a gold label is missing, outside the label set, or the
            letter of no option. The message names the ids.
    """
    counts = Counter(item.id for item in items)
    _refuse(source, "these ids occur more than once", (name for name, count in counts.items() if count > 1))
    _refuse(
        source,
        "these ids are empty or have spaces around them",
        (i.id for i in items if i.id.strip() != i.id or not i.id),
    )
    long = (i.id for i in items if len(i.id.encode()) > LONGEST_ID)
    _refuse(source, f"these ids are longer than {LONGEST_ID} bytes, too long for the name of a file", long)
    _refuse(source, "these ids hold characters that cannot be shown", (i.id for i in items if not i.id.isprintable()))
    silent = (item.id for item in items if not any(character.isalnum() for character in item.text))
    _refuse(source, "these items have no text to speak", silent)
    _refuse(source, "these items have no gold label", (item.id for item in items if not item.label.strip()))
    if labels:
        strays = (f"{item.id} ({item.label!r})" for item in items if item.label not in labels)
        _refuse(source, f"these items have a label other than {', '.join(labels)}", strays)
    unlettered = (i.id for i in items if i.options and i.label not in tuple(string.ascii_uppercase[: len(i.options)]))
    _refuse(source, "the gold letter of these items has no option", unlettered)


def write_items(items: Sequence[Item], path: Path, task: str, labels: Sequence[str] = ()) -> None:
    """Check items of a task and write them as Parquet, whole or not at all.

    Raises:
        StudyError: As `check_items`.
    """
    check_items(items, labels, f"the items for {path}")
    schema = WIDER if any(item.wider for item in items) else SCHEMA
    rows = {name: [_plain(getattr(item, name)) for item in items] for name in schema}
    write_table(pl.DataFrame(rows, schema=schema, orient="col"), path, {"task": task})


def read_items(path: Path) -> list[Item]:
    """Read an items file.

    Raises:
        StudyError: If there is none, or its columns are not those of an items file.
    """
    if not path.is_file():
        raise StudyError(f"There is no items file {path}.")
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise StudyError(f"{path} is not a readable Parquet file ({error}); delete it and run again.") from error
    if table.schema not in (SCHEMA, WIDER):
        raise StudyError(f"{path} is not an items file: it needs the columns {dict(SCHEMA)}, not {dict(table.schema)}.")
    return [
        Item(
            id=row["id"],
            text=row["text"],
            label=row["label"],
            group=row["group"],
            options=tuple(row["options"]),
            aliases=tuple(row["aliases"]),
            style=row["style"],
            wider=tuple((each["grouping"], each["group"]) for each in row.get("wider", ())),
        )
        for row in table.iter_rows(named=True)
    ]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _refuse(source: str, problem: str, names: Iterable[str]) -> None:
    if found := list(names):
        raise StudyError(f"In {source}, {problem}: {some_of([_short(name) for name in found])}.")


def _short(name: str) -> str:
    """A name as shown: on one line."""
    plain = name if name.isprintable() else repr(name)
    return plain if len(plain) <= _LONGEST_SHOWN else f"{plain[:_LONGEST_SHOWN]}..."
