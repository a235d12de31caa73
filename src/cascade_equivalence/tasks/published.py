"""Finding and reading the files in which data sets are published."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.errors import StudyError

_FOREIGN_BYTE = re.compile("[\udc80-\udcff]")
_SHOWN = 5


def find_files(folder: Path, task: str, patterns: Sequence[str], obtain: str) -> list[Path]:
    """Find a published set's files.

    Args:
        folder: The task's own folder.
        task: The task, for the message.
        patterns: Glob patterns in order of preference; the first that matches is taken, with all its files (a set may
            come in numbered pieces). Where none matches, a Parquet file that is alone in the folder is taken.
        obtain: Which file is wanted and where it comes from, for the message.

    Raises:
        StudyError: If nothing is found.
    """
    for pattern in patterns:
        if found := sorted(path for path in folder.glob(pattern) if path.is_file()):
            return found
    alone = sorted(folder.glob("*.parquet"))
    if len(alone) == 1:
        return alone
    where = f"the folder {folder} does not exist" if not folder.is_dir() else f"{folder} has no {' or '.join(patterns)}"
    raise StudyError(
        f"The published items of {task} are missing: {where}. Expected: {obtain} "
        f"Put it there, point `items.folder` at the folder above, leave it out to have the set fetched, or set "
        f"`items.source: demo`."
    )


def read_text(path: Path) -> str:
    """Read a text file as UTF-8; a byte that is not is read as Windows-1252, the other encoding sets come in."""
    return _FOREIGN_BYTE.sub(lambda match: _in_windows(match[0]), _decode(path))


def foreign_bytes(path: Path) -> list[str]:
    """Which bytes of a text file are not UTF-8, and what they are read as: one line each, the first five and how many.

    Args:
        path: The file; a Parquet file has none.
    """
    if path.suffix == ".parquet":
        return []
    text = _decode(path)
    found = list(_FOREIGN_BYTE.finditer(text))
    lines = [
        f"{path}, line {text.count(chr(10), 0, match.start()) + 1}: the byte 0x{ord(match[0]) & 0xFF:02X} is not UTF-8 "
        f"and is read as {_in_windows(match[0])!r}"
        for match in found[:_SHOWN]
    ]
    return lines + [f"{path}: and {len(found) - _SHOWN} more bytes that are not UTF-8"] * (len(found) > _SHOWN)


def text_field(row: Mapping[str, Any], name: str) -> str:
    """A field of a row that must be text: nothing else is made into text, or a missing one would be spoken as "None".

    Raises:
        KeyError: If there is no such field.
        ValueError: If it is something else.
    """
    value = row[name]
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is {value!r}, which is no text")
    return value


def list_field(row: Mapping[str, Any], name: str) -> list[Any]:
    """A field of a row that must be a list: a text would be taken letter by letter.

    Raises:
        KeyError: If there is no such field.
        ValueError: If it is something else.
    """
    value = row[name]
    if not isinstance(value, list):
        raise ValueError(f"`{name}` is {value!r}, which is no list")
    return value


def read_csv(path: Path) -> Iterator[list[str]]:
    """Read comma-separated rows; quoted fields may hold line breaks."""
    yield from csv.reader(io.StringIO(read_text(path), newline=""), strict=True)


def read_csv_records(path: Path) -> Iterator[dict[str, str]]:
    """Read comma-separated rows by the names in the first row."""
    yield from csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read rows from Parquet, from JSON lines, or from one JSON list; each when its turn comes.

    Raises:
        ValueError: If a row is no object with named fields.
    """
    for row in _rows(path):
        if not isinstance(row, dict):
            raise ValueError("a row has no named fields")
        yield row


def _rows(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        yield from pl.read_parquet(path).to_dicts()
    elif path.suffix == ".jsonl":
        # Not splitlines(): JSON strings may hold U+2028 and other separators unescaped.
        yield from (json.loads(line) for line in read_text(path).split("\n") if line.strip())
    else:
        yield from json.loads(read_text(path))


def _decode(path: Path) -> str:
    """The text of a file, with a lone surrogate for each byte that is not UTF-8."""
    return path.read_bytes().decode("utf-8-sig", errors="surrogateescape")


def _in_windows(escaped: str) -> str:
    return bytes([ord(escaped) & 0xFF]).decode("cp1252", errors="replace")
