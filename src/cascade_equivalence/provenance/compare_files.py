"""Tables, files of JSON and files of answers of two studies, number by number."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.cells import Difference, differences, flat, gap
from cascade_equivalence.report import costs_table

# What tells the rows of a table apart, in any order.
IDENTITY = (
    *(
        "pair",
        "contrast",
        "claim",
        "count",
        "place",
        "statistic",
        "aggregate",
        "relation",
        "second_reference",
        "layer_to",
    ),
    *("system", "systems", "reference", "first", "second", "model", "implicit", "explicit", "untrained", "layer"),
    *("probe", "measure", "task", "condition", "voice", "id", "arm", "positions", "concept", "variant", "control"),
    *("of", "grouping", "other_model"),
)
SOURCES = ("asr", "llm", "transcript")
"""They tell rows apart where there is no system, as in some rows of a long table; of a system they are a property."""
ROW_KEYS = (
    "concept",
    "variant",
    "positions",
    "layer",
    "arm",
    "id",
    "voice",
    "source_id",
    "target_id",
    "place",
    "change",
    "amount",
    "draw",
)
SECONDS = "seconds"
MEASURED: dict[str, Collection[str]] = {
    "tables/times.csv": costs_table.MEASURED,
    # Of studies from before times had a table of their own.
    "tables/costs.csv": costs_table.MEASURED,
}


@dataclass
class Tally:
    """What was compared so far.

    Attributes:
        differences: What differs.
        tables: Tables compared.
        numbers: Cells of tables and leaves of JSON compared.
        documents: Files of JSON compared.
        rows: Rows of answers and transcripts compared, by folder.
        same: Of those, how many have the same value, by folder and column.
        seconds: Measured seconds of the two, by file or folder.
    """

    differences: list[Difference] = field(default_factory=list)
    tables: int = 0
    numbers: int = 0
    documents: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    same: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)

    def measured(self, name: str, a: float, b: float) -> None:
        """Add measured seconds."""
        one, other = self.seconds.get(name, (0.0, 0.0))
        self.seconds[name] = (one + a, other + b)


def compare_tables(file: str, a: Path, b: Path, tolerance: float, tally: Tally) -> None:
    """Compare two tables in CSV, row by row; rows are found by their names, in any order.

    Raises:
        StudyError: One cannot be read.
    """
    one, other = (_read_csv(path) for path in (a, b))
    tally.tables += 1
    apart = [name for name in MEASURED.get(file, ()) if name in one.columns and name in other.columns]
    if SECONDS in apart:
        tally.measured(file, *(_total(table[SECONDS].cast(pl.Float64, strict=False)) for table in (one, other)))
    one, other = (table.drop(name for name in apart if name in table.columns) for table in (one, other))
    key = _key(one.columns, other.columns)
    rows, others = _by_key(one, key), _by_key(other, key)
    for name in dict.fromkeys([*rows, *others]):
        if name not in rows or name not in others:
            tally.differences.append(_only(file, name, name in rows))
            continue
        tally.numbers += len(rows[name])
        tally.differences += differences(file, name, rows[name], others[name], tolerance)


def compare_documents(file: str, a: Path, b: Path, tolerance: float, tally: Tally) -> None:
    """Compare two files of JSON, leaf by leaf.

    Raises:
        StudyError: One cannot be read.
    """
    one, other = (dict(flat(_read_json(path))) for path in (a, b))
    tally.documents += 1
    tally.numbers += len(one)
    tally.differences += differences(file, "", one, other, tolerance)


def compare_rows(file: str, a: Path, b: Path, tolerance: float, tally: Tally) -> None:
    """Compare two Parquet files of answers or transcripts by item and voice.

    A column counts once, by the share of its rows that differ (for numbers at least their largest gap), with the first
    of them as the example.

    Raises:
        StudyError: One cannot be read, or a file says something twice of one item and voice.
    """
    one, other = (_read_parquet(path) for path in (a, b))
    folder = file.partition("/")[0]
    if SECONDS in one.columns and SECONDS in other.columns:
        tally.measured(folder, *(_total(table[SECONDS]) for table in (one, other)))
    one, other = (table.drop(SECONDS, strict=False) for table in (one, other))
    key = [name for name in ROW_KEYS if name in one.columns and name in other.columns]
    rows, others = _by_key(one, key), _by_key(other, key)
    for name in dict.fromkeys([*rows, *others]):
        if name not in rows or name not in others:
            tally.differences.append(_only(file, name, name in rows))
    both = [name for name in rows if name in others]
    tally.rows[folder] = tally.rows.get(folder, 0) + len(both)
    same = tally.same.setdefault(folder, {})
    for column in [column for column in one.columns if column not in key]:
        if column not in other.columns:
            tally.differences.append(Difference(file, "", column, "a column", None, math.inf))
            continue
        gaps = {name: gap(rows[name][column], others[name][column], tolerance) for name in both}
        unequal = [name for name, size in gaps.items() if size]
        same[column] = same.get(column, 0) + len(both) - len(unequal)
        if unequal:
            finite = [gaps[name] for name in unequal if math.isfinite(gaps[name])]
            first = unequal[0]
            tally.differences.append(
                Difference(
                    file,
                    f"{len(unequal)} of {len(both)} rows, such as {first}",
                    column,
                    rows[first][column],
                    others[first][column],
                    max([len(unequal) / len(both), *finite]),
                )
            )
    for column in [column for column in other.columns if column not in one.columns]:
        tally.differences.append(Difference(file, "", column, None, "a column", math.inf))


def _total(column: pl.Series) -> float:
    return math.fsum(column.drop_nulls())


def _only(file: str, row: str, in_first: bool) -> Difference:
    return Difference(file, row, "the row", "there" if in_first else None, None if in_first else "there", math.inf)


def _key(columns: Sequence[str], others: Sequence[str]) -> list[str]:
    both = [name for name in columns if name in others]
    key = [name for name in both if name.lower() in IDENTITY]
    if "system" not in both or "statistic" in both:
        key += [name for name in both if name in SOURCES]
    return key


def _by_key(table: pl.DataFrame, key: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows by what tells them apart, as words; rows that nothing tells apart are numbered."""
    found: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for row in table.iter_rows(named=True):
        name = " ".join(str(row[column]) for column in key if row[column] not in (None, "")) or "row"
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = {
            column: value for column, value in row.items() if column not in key
        }
    return found


def _read_csv(path: Path) -> pl.DataFrame:
    try:
        # As text: what is a number is decided cell by cell, and an empty column is none.
        return pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StudyError(f"{path} cannot be read as a table ({error}): verify that folder first") from error


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StudyError(f"{path} is no readable Parquet file ({error}): verify that folder first") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} is no readable JSON ({error}): verify that folder first") from error


COMPARISONS: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "tables": (
        compare_tables,
        (
            *("tables/*.csv", "paper/*.csv", "comparison.csv", "claims.csv", "replication.csv"),
            *("agreement/**/*.csv", "contrasts/**/*.csv"),
        ),
    ),
    "documents": (
        compare_documents,
        (
            *("agreement/**/*.json", "surplus/*.json", "preflight/*.json"),
            *("probes/**/*.json", "erasers/**/*.json", "similarity/*.json", "curved/**/*.json"),
        ),
    ),
    "rows": (
        compare_rows,
        tuple(
            f"{name}/**/*.parquet"
            for name in (
                *("answers", "transcripts", "voice", "erasure", "patching", "conflict"),
                *("attributions", "steering"),
            )
        ),
    ),
}


def compared_files(folder: Path) -> Iterator[tuple[str, Any]]:
    """The files of a results folder that hold numbers to compare, with what compares them."""
    for function, patterns in COMPARISONS.values():
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                yield path.relative_to(folder).as_posix(), function
