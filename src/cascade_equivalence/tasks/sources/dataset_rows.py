"""Reads the rows of a fetched data set: the columns that a task needs, classes by their names, and its sound."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.config.dataset import DatasetSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.published import read_csv_records, read_rows
from cascade_equivalence.tasks.sources.dataset import FetchedDataset
from cascade_equivalence.tasks.sources.dataset_card import class_names, read_card

_SLICE = 200
"""Rows of a Parquet file that are read at once where they hold sound."""


def dataset_rows(
    fetched: FetchedDataset, spec: DatasetSpec, columns: Mapping[str, str], named: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Rows by what they hold for a task (`text`, `label`, ...), in order; of sound the file's name alone.

    Args:
        fetched: The files.
        spec: The entry, with its names for labels.
        columns: What a task needs, by the column that has it; a full stop leads into a struct (`choices.text`).
        named: What must be there; the rest is None where it is not.

    Raises:
        StudyError: A file has no such column; it says which there are.
        ValueError: A class has no name.
    """
    for path in fetched.files:
        there = _columns(path)
        for field in named:
            if (column := columns[field]).partition(".")[0] not in there:
                raise StudyError(
                    f"{path.name} has no column {column!r}; it has {', '.join(there)} (name yours in `columns: "
                    f"{{{field}: ...}}`)"
                )
        wanted = {field: column for field, column in columns.items() if column.partition(".")[0] in there}
        classes = spec.label_names or _classes(path, fetched.card, spec, columns["label"])
        for row in _read(path, wanted):
            found = {field: _inside(row, column) for field, column in wanted.items()}
            label = found.get("label")
            if isinstance(label, int | str) and classes and not isinstance(label, bool):
                found["label"] = _name(label, classes, given=bool(spec.label_names))
            yield {field: found.get(field) for field in columns}


def sound_rows(fetched: FetchedDataset, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows with some columns whole, sound among them, a few at a time.

    Raises:
        StudyError: A file is no Parquet file, which alone holds sound.
    """
    for path in fetched.files:
        if path.suffix != ".parquet":
            raise StudyError(f"{path.name} holds no sound: of data sets, it is read from Parquet files alone")
        table = pl.scan_parquet(path).select(columns)
        for start in range(0, int(pl.scan_parquet(path).select(pl.len()).collect().item()), _SLICE):
            yield from table.slice(start, _SLICE).collect().iter_rows(named=True)


def _columns(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(pl.read_parquet_schema(path))
    rows = read_csv_records(path) if path.suffix == ".csv" else read_rows(path)
    return [str(name) for name in next(iter(rows), {})]


def _read(path: Path, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows of a file; of a column of sound its path alone."""
    if path.suffix == ".csv":
        yield from read_csv_records(path)
        return
    if path.suffix != ".parquet":
        yield from read_rows(path)
        return
    schema = pl.read_parquet_schema(path)
    tops = dict.fromkeys(column.partition(".")[0] for column in columns.values())
    chosen = [
        pl.col(name).struct.field("path").alias(name) if _is_sound(schema[name]) else pl.col(name) for name in tops
    ]
    yield from pl.scan_parquet(path).select(chosen).collect().iter_rows(named=True)


def _is_sound(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Struct) and {"bytes", "path"} <= {field.name for field in kind.fields}


def _inside(row: Any, column: str) -> Any:
    """The value that a column leads to, through structs and lists of them; None where there is none."""
    if isinstance(row, Mapping) and column in row:
        return row[column]
    found = row
    for part in column.split("."):
        if isinstance(found, list):
            found = [each.get(part) if isinstance(each, Mapping) else None for each in found]
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _classes(path: Path, card: str, spec: DatasetSpec, column: str) -> dict[str, str]:
    """Names of numbered classes: as the file itself says, else as the card does."""
    if path.suffix == ".parquet":
        try:
            features: Any = json.loads(pl.read_parquet_metadata(path).get("huggingface", "{}"))["info"]["features"]
            for part in column.split("."):
                features = features.get("feature", features)[part]
            return {str(number): str(name) for number, name in enumerate(features["names"])}
        except (ValueError, LookupError, TypeError, AttributeError):
            pass
    return class_names(read_card(card), spec.config, column)


def _name(label: int | str, classes: Mapping[str, str], *, given: bool) -> str:
    if str(label) in classes:
        return classes[str(label)]
    # The set's own names stand for numbers; what is words already is left.
    if isinstance(label, str) and (not given or label in classes.values()):
        return label
    hidden = "; the set hides the labels of this split: take another" if label == -1 else ""
    source = "`label_names` gives" if given else "the data set gives"
    raise ValueError(f"`label` is {label!r}, for which {source} no name{hidden}")
