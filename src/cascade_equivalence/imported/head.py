"""What a file of answers begins with, by which its format is recognised, and its rows."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from cascade_equivalence.errors import StudyError, some_of

FileKind = Literal["zip", "parquet", "json", "jsonl", "csv"]
_LONGEST_CELL = 1 << 27


@dataclass(frozen=True)
class FileHead:
    """The beginning of a file.

    Attributes:
        path: The file.
        kind: What holds its rows.
        first: The first row; the whole of a file that is one JSON object; empty of an archive.
        members: Names of the files in an archive.
    """

    path: Path
    kind: FileKind
    first: Mapping[str, Any]
    members: tuple[str, ...] = ()

    def has(self, *names: str) -> bool:
        """Whether the first row has all of some fields."""
        return set(names) <= self.first.keys()


def read_head(path: Path) -> FileHead:
    """Look at the beginning of a file.

    Raises:
        StudyError: There is none, it is empty, or it holds nothing that can be rows.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror})") from error
    if start == b"PK\x03\x04":
        return FileHead(path, "zip", {}, _members(path))
    if start == b"PAR1":
        return FileHead(path, "parquet", _parquet(path, 1)[0])
    return _text_head(path)


def rows_of(head: FileHead) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a file, each with where it is, for messages.

    Raises:
        StudyError: The file is broken; the message has the line.
    """
    path = head.path
    if head.kind == "parquet":
        for number, row in enumerate(_parquet(path, None), 1):
            yield f"{path}, row {number}", row
    elif head.kind == "csv":
        yield from _csv(path)
    elif head.kind == "jsonl":
        yield from _lines(path)
    else:
        found = _whole(path, _text(path))
        for number, row in enumerate(found if isinstance(found, list) else [found], 1):
            if not isinstance(row, dict):
                raise StudyError(f"{path}, row {number}: it is no object with named fields")
            yield f"{path}, row {number}", row


def _members(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise StudyError(f"{path} is a broken archive ({error}); fetch it again") from error


def _parquet(path: Path, rows: int | None) -> list[dict[str, Any]]:
    try:
        found = pl.read_parquet(path, n_rows=rows).to_dicts()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StudyError(f"{path} is no Parquet file that can be read ({str(error).splitlines()[0]})") from error
    if not found:
        raise StudyError(f"{path} has no rows")
    return found


def _text_head(path: Path) -> FileHead:
    text = _text(path)
    begun = text.lstrip()
    if not begun:
        raise StudyError(f"{path} is empty")
    if begun[0] not in "{[":
        return FileHead(path, "csv", next(_csv(path))[1])
    if begun[0] == "{":
        line, _, rest = begun.partition("\n")
        try:
            first = json.loads(line)
        except json.JSONDecodeError:
            # One object over many lines; or JSON lines of which the first is broken.
            if rest.lstrip().startswith("{"):
                next(_lines(path))
            return FileHead(path, "json", _whole(path, text))
        return FileHead(path, "jsonl", first)
    found = _whole(path, text)
    if not found or not isinstance(found[0], dict):
        raise StudyError(f"{path} is a list without objects; a row needs named fields")
    return FileHead(path, "json", found[0])


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{path} is no text in UTF-8 (byte {error.start + 1}), no Parquet file and no archive: it is in no format "
            "that is read"
        ) from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror})") from error


def _whole(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise StudyError(f"{path} is no JSON: {error}") from error


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # Not splitlines(): JSON strings may hold U+2028 and other separators unescaped.
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise StudyError(f"{where} is no JSON ({error}); is the file cut off there?") from error
        if not isinstance(row, dict):
            raise StudyError(f"{where}: it is no object with named fields")
        yield where, row


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    text = _text(path)
    head = text.partition("\n")[0]
    delimiter = "\t" if "\t" in head and "," not in head else ";" if ";" in head and "," not in head else ","
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        names = list(reader.fieldnames or [])
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise StudyError(f"{path} has two columns called {some_of(twice)}: give one another name")
        empty = True
        for row in reader:
            empty = False
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise StudyError(
                    f"{where} has more or fewer cells than there are columns: put texts with a comma in quotation marks"
                )
            yield where, row
        if empty:
            raise StudyError(f"{path} has no rows below its first line, which names the columns")
    except csv.Error as error:
        raise StudyError(f"{path}, line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(before)
