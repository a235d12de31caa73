"""What a tidy table is: its columns, how it is made and shown, where it stands, and which studies have it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.registry import Registry
from cascade_equivalence.report.columns import PAIR, PairColumn, Schema
from cascade_equivalence.report.display import Display
from cascade_equivalence.report.shown import MORE, PlannedStudy, check_shown, every_study

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.tables import Tables


@dataclass(frozen=True)
class Timing:
    """What a clock measured, and what follows from it: it is another in every run, so it has a file of its own.

    Attributes:
        name: Its file.
        key: Columns by which it belongs to a row.
        columns: What was measured.
        displays: The table and this, as a reader sees them, from the table and the level of its intervals.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    displays: Callable[[pl.DataFrame, float], tuple[Display, Display]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A tidy table of a study, one row an observation; all lists of tables are read off ``TABLES``.

    The module of a table is imported when a study is planned: what computes is imported inside ``build``.

    Attributes:
        name: Its name, in small letters: of files, and in the page.
        display: The table as a reader sees it, from all tables and the level of their intervals.
        schema: Its columns; those of a table of pairs follow from ``columns``.
        columns: Of a table of pairs: those beside ``PAIR``, each with what a comparison has for it.
        build: The table, from what the nodes found; None of a table of pairs that is its rows in a reader's order.
        section: Its section of the page.
        planned: Whether a study declares its files before anything has run; where it need not, an empty table has no
            file.
        measured: Columns that lie in a file of their own.

    Raises:
        StudyError: The name makes no file, the page has no such section, or there is nothing to make it from.
    """

    name: str
    display: "Callable[[Tables, float], Display]"
    schema: Schema = field(default_factory=dict)
    columns: Mapping[str, PairColumn] | None = None
    build: "Callable[[Results], pl.DataFrame] | None" = None
    section: str = MORE
    planned: Callable[[PlannedStudy], bool] = every_study
    measured: Timing | None = None

    def __post_init__(self) -> None:
        check_shown("table", self.name, self.section)
        if self.columns is not None:
            object.__setattr__(self, "schema", PAIR | {name: cell.kind for name, cell in self.columns.items()})
        elif self.build is None:
            raise StudyError(f"the table {self.name!r} needs `columns`, for a table of pairs, or `build`")

    @property
    def optional(self) -> bool:
        """Whether a study need not have it."""
        return self.planned is not every_study

    @property
    def files(self) -> dict[str, Schema]:
        """Columns of its files, by name without suffix."""
        if self.measured is None:
            return {self.name: self.schema}
        apart = self.measured.columns
        timed = {name: self.schema[name] for name in (*self.measured.key, *apart)}
        return {
            self.name: {name: kind for name, kind in self.schema.items() if name not in apart},
            self.measured.name: timed,
        }

    def split(self, table: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """The table as its files have it."""
        return {name: table.select(list(schema)) for name, schema in self.files.items()}

    def joined(self, parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """What ``split`` took apart; a row of which nothing was measured has nulls."""
        table = parts[self.name]
        if self.measured is None:
            return table
        both = table.join(
            parts[self.measured.name],
            on=list(self.measured.key),
            how="left",
            maintain_order="left",
            validate="1:1",
        )
        return both.select(list(self.schema))

    def made(self, results: "Results") -> pl.DataFrame:
        """The table of a study."""
        return results.in_order(self) if self.build is None else self.build(results)

    def shown(self, tables: "Tables", confidence: float) -> Display:
        """The table as a reader sees it, under its own name."""
        return replace(self.display(tables, confidence), name=self.name)

    def shown_files(self, tables: "Tables", confidence: float) -> tuple[Display, ...]:
        """The same, as its files have it."""
        if self.measured is None:
            return (self.shown(tables, confidence),)
        return self.measured.displays(tables[self.name], confidence)


TABLES: Registry[Table] = Registry("table", home="cascade_equivalence.report.table_registry")
"""All tables, in a reader's order."""
