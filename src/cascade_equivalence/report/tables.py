"""The study's tidy tables: as files, one row an observation in full precision, and as a reader sees them."""

import io
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.report.columns import Schema
from cascade_equivalence.report.display import Display, markdown
from cascade_equivalence.report.table import TABLES


class Tables(Mapping[str, pl.DataFrame]):
    """The tidy tables of a study: those of ``TABLES``, by name or as attributes.

    Args:
        frames: Tables by name, with the columns of their schemas; one that is not given is empty.

    Raises:
        StudyError: There is no table of a name.
    """

    def __init__(self, **frames: pl.DataFrame) -> None:
        for name in frames:
            TABLES.find(name)
        self._frames = {
            name: frames[name] if name in frames else pl.DataFrame(schema=table.schema)
            for name, table in TABLES.items()
        }

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __getattr__(self, name: str) -> pl.DataFrame:
        if name.startswith("_") or name not in self._frames:
            raise AttributeError(f"there is no table {name!r}")
        return self._frames[name]

    def changed(self, **frames: pl.DataFrame) -> "Tables":
        """The same with other tables in the place of some."""
        return Tables(**{**self, **frames})

    def write(self, folder: Path, always: Container[str] = ()) -> None:
        """Write each table as ``{name}.csv``, and what was measured of it apart.

        Args:
            folder: Where the files go.
            always: Optional tables that have a file even if they are empty.
        """
        for table in TABLES.values():
            whole = self[table.name]
            for name, part in table.split(whole).items():
                path = folder / f"{name}.csv"
                if table.optional and not whole.height and table.name not in always:
                    path.unlink(missing_ok=True)
                else:
                    write_csv(part, path)

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        """Read what ``write`` wrote.

        Raises:
            StudyError: A table has other columns: another version of this project wrote it.
        """
        found = {}
        for table in TABLES.values():
            paths = {name: folder / f"{name}.csv" for name in table.files}
            if not table.optional or all(path.exists() for path in paths.values()):
                parts = {name: read_csv(paths[name], schema) for name, schema in table.files.items()}
                found[table.name] = table.joined(parts)
        return cls(**found)


# What a spreadsheet takes for a formula, unless it is a number; a text so begun is written behind an apostrophe.
FORMULA = r"^'*[=+\-@\t\r\n\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}]"
NUMBER = r"^[+\-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+\-]?[0-9]+)?%?$|^[+\-]?(inf|nan)$|^[+\-]$"


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table with full precision, and with no text that a spreadsheet would run."""
    buffer = io.StringIO()
    _of_texts(table, lambda text: _runs(text) & ~text.str.contains(NUMBER), lambda text: "'" + text).write_csv(buffer)
    write_text(path, buffer.getvalue())


def read_csv(path: Path, schema: Schema) -> pl.DataFrame:
    """Read what ``write_csv`` wrote.

    Raises:
        StudyError: The table has other columns: another version of this project wrote it.
    """
    with path.open(encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    if columns != list(schema):
        raise StudyError(f"{path} was made by another version of this project; run snakemake again to renew it")
    # The apostrophe that writing has put there.
    table = pl.read_csv(path, schema=schema)
    return _of_texts(table, lambda text: text.str.starts_with("'") & _runs(text), lambda text: text.str.slice(1))


def _runs(text: pl.Expr) -> pl.Expr:
    return text.str.contains(FORMULA)


def _of_texts(
    table: pl.DataFrame, chosen: Callable[[pl.Expr], pl.Expr], change: Callable[[pl.Expr], pl.Expr]
) -> pl.DataFrame:
    """A table with some of its texts changed."""
    texts = [pl.col(name) for name, kind in table.schema.items() if kind == pl.String]
    return table.with_columns(
        pl.when(chosen(text)).then(change(text)).otherwise(text).alias(text.meta.output_name()) for text in texts
    )


def displays(tables: Tables, confidence: float) -> list[Display]:
    """All tables that have something to show a reader, in the order of ``TABLES``.

    Args:
        tables: The tidy tables.
        confidence: Level of their intervals.
    """
    shown = (table.shown(tables, confidence) for table in TABLES.values())
    return [display for display in shown if display.rows]


def write_markdown(tables: Tables, folder: Path, confidence: float, always: Container[str] = ()) -> None:
    """Write each table as ``{name}.md``, with no rows if nothing was run; what was measured of it apart.

    Args:
        tables: The tidy tables.
        folder: Where the files go.
        confidence: Level of the intervals.
        always: Optional tables that have a file even if they are empty.
    """
    for table in TABLES.values():
        for display in table.shown_files(tables, confidence):
            path = folder / f"{display.name}.md"
            if table.optional and not display.rows and table.name not in always:
                path.unlink(missing_ok=True)
            else:
                write_text(path, markdown(display))
