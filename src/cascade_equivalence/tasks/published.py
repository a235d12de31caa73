"""Finding and reading the files in which data sets are published."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.errors import StudyError


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
    """Read a text file as UTF-8; one that is not is read as Windows-1252, the other encoding sets come in."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_csv(path: Path) -> Iterator[list[str]]:
    """Read comma-separated rows; quoted fields may hold line breaks."""
    yield from csv.reader(io.StringIO(read_text(path), newline=""), strict=True)


def read_csv_records(path: Path) -> Iterator[dict[str, str]]:
    """Read comma-separated rows by the names in the first row."""
    yield from csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read rows from Parquet, from JSON lines, or from one JSON list."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    text = read_text(path)
    if path.suffix == ".jsonl":
        # Not splitlines(): JSON strings may hold U+2028 and other separators unescaped.
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    records: list[dict[str, Any]] = json.loads(text)
    return records
