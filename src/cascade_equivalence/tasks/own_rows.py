"""Rows of a user's file of items, and what their cells say; open it when a file is read otherwise than it looks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from math import isnan
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import FOREIGN
from cascade_equivalence.tasks.published import read_csv, read_csv_records, read_rows

BETWEEN = "|"
"""Between the entries of a list, in a cell of a CSV file."""
READABLE = (".csv", ".jsonl", ".json", ".parquet")


def read_columns(path: Path) -> list[str]:
    """The names of a file's columns, as its first row has them.

    Raises:
        StudyError: It cannot be read, or has no row.
    """
    try:
        row = next(iter(rows_of(path)), None)
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror})") from error
    except FOREIGN as error:
        raise StudyError(f"{path}: {error}") from error
    if row is None:
        raise StudyError(f"{path} has no items")
    return [str(name) for name in row if name is not None]


def rows_of(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a file, by the names of its columns.

    Raises:
        ValueError: It is none that can be read.
    """
    if path.suffix not in READABLE:
        raise ValueError(f"its name ends in none of {', '.join(READABLE)}")
    if path.suffix != ".csv":
        yield from read_rows(path)
        return
    head = next(iter(read_csv(path)), [])
    if twice := [name for name, count in Counter(head).items() if count > 1]:
        raise ValueError(f"two columns are called {twice[0]!r}")
    yield from read_csv_records(path)


def name_of(value: object, field: str) -> str:
    """A name; empty where there is none."""
    return "" if value is None or value == "" else said(value, field).strip()


def audio_name(value: object) -> str:
    """The name of a recording's file; of a data set, sound may come with it."""
    return name_of(value.get("path") if isinstance(value, Mapping) else value, "audio")


def said(value: object, field: str) -> str:
    """A cell as text.

    Raises:
        ValueError: It holds none.
    """
    if value is None or isinstance(value, bool | list | dict) or (isinstance(value, float) and isnan(value)):
        raise ValueError(f"`{field}` is {value!r}, which is no text")
    return str(value)


def list_of(value: object, field: str) -> list[str]:
    """A list, or a cell with the sign between its entries; empty where there is none.

    Raises:
        ValueError: It is no list of texts.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [entry.strip() for entry in value.split(BETWEEN)]
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return value
    raise ValueError(f"`{field}` is {value!r}, which is no list of texts")
