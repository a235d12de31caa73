"""Tables in the paper's own layout: cells with the paper's number behind the study's, and their plain form."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from cascade_equivalence.report.comparison import NO
from cascade_equivalence.report.comparison_display import who_is_whom
from cascade_equivalence.report.comparison_study import depth
from cascade_equivalence.report.display import MINUS, NOT_RUN, UNDEFINED, Display
from cascade_equivalence.report.paper_numbers import LAST_LAYER, STATISTICS
from cascade_equivalence.report.tables import Tables

PAPER_COLUMN = "{} (paper)"


class Cell(NamedTuple):
    """A number of a table.

    Attributes:
        shown: The study's number as it is shown; a dash where the study has none.
        mark: A mark behind it, such as that of an accuracy at chance.
        paper: The paper's number as it is printed there; empty where nothing of the study stands beside it.
    """

    shown: str = NOT_RUN
    mark: str = ""
    paper: str = ""

    @property
    def text(self) -> str:
        """What a reader sees."""
        return f"{self.shown}{self.mark}{f' ({self.paper})' if self.paper else ''}"


LayoutRow = Sequence[str | Cell]


@dataclass(frozen=True)
class RowGroup:
    """Rows under a heading of their own; an empty heading is none."""

    heading: str
    rows: Sequence[LayoutRow]


@dataclass(frozen=True)
class PaperTable(Display):
    """A table in the paper's layout.

    Attributes:
        plain: The same as numbers that can be read by a program, header first: headings of groups as a column of their
            own, and the paper's numbers in columns of their own.
    """

    plain: Sequence[Sequence[str]] = ()

    def csv(self) -> str:
        """The plain form as comma-separated values."""
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(self.plain)
        return buffer.getvalue()


def paper_table(
    name: str,
    title: str,
    columns: Sequence[str],
    groups: Sequence[RowGroup],
    remarks: Sequence[str],
    *,
    text_columns: int = 1,
    grouped_by: str = "",
) -> PaperTable:
    """Make a table.

    Args:
        name: Name of the table and its files.
        title: Its heading.
        columns: Column headings.
        groups: The rows.
        remarks: What the reader has to know.
        text_columns: How many of the first columns are text.
        grouped_by: What the headings of groups are, as a column of the plain form; empty if there are none.
    """
    rows: list[list[str]] = []
    for group in groups:
        rows += [[group.heading, *[""] * (len(columns) - 1)]] if group.heading and group.rows else []
        rows += [[cell if isinstance(cell, str) else cell.text for cell in row] for row in group.rows]
    return PaperTable(
        name=name,
        title=title,
        columns=list(columns),
        rows=rows,
        remarks=list(remarks),
        text_columns=text_columns,
        plain=_plain(columns, groups, grouped_by),
    )


def _plain(columns: Sequence[str], groups: Sequence[RowGroup], grouped_by: str) -> list[list[str]]:
    every = [row for group in groups for row in group.rows]
    beside = [any(_paper(row[place]) for row in every) for place in range(len(columns))]
    header = [
        name
        for column, both in zip(columns, beside, strict=True)
        for name in ([column, PAPER_COLUMN.format(column)] if both else [column])
    ]
    table = [[grouped_by, *header] if grouped_by else header]
    for group in groups:
        for row in group.rows:
            cells: list[str] = [group.heading] if grouped_by else []
            for cell, both in zip(row, beside, strict=True):
                cells += [cell if isinstance(cell, str) else _number(cell.shown)]
                cells += [_number(_paper(cell))] if both else []
            table.append(cells)
    return table


def _paper(cell: str | Cell) -> str:
    return cell.paper if isinstance(cell, Cell) else ""


def _number(shown: str) -> str:
    """A number as programs read it; what is not there is empty."""
    return "" if shown in (NOT_RUN, UNDEFINED) else shown.replace(MINUS, "-").removesuffix("%")


KEY = (
    "place",
    "statistic",
    "ours_system",
    "ours_reference",
    "ours_model",
    "task",
    "concept",
    "ours_layer",
)
BRACKETS = "In round brackets the paper's number."
DEPTH = (
    "The paper's models have 32 blocks (0 to 31); beside a model of another depth stands the paper's layer that is "
    "nearest in relative depth."
)


@dataclass(frozen=True)
class Beside:
    """What of the paper stands beside this study's numbers.

    Attributes:
        rows: Rows of the comparison that apply.
        found: The paper's numbers as it prints them, by ``KEY``.
    """

    rows: pl.DataFrame
    found: Mapping[tuple[Any, ...], str]

    @classmethod
    def of(cls, comparison: pl.DataFrame, tables: Tables) -> "Beside":
        """From what ``comparison`` gives.

        Where several of the paper's layers fall on one of a less deep model, the nearest in relative depth stands.
        """
        there = comparison.filter((pl.col("applies") != NO) & pl.col("aggregate").is_null())
        nearest: dict[tuple[Any, ...], tuple[float, str]] = {}
        for row in there.iter_rows(named=True):
            key = tuple(row[name] for name in KEY)
            away = _away(row, tables)
            if key not in nearest or away < nearest[key][0]:
                nearest[key] = away, row["printed"].replace("-", MINUS)
        return cls(there, {key: printed for key, (_, printed) in nearest.items()})

    def number(
        self,
        place: str,
        statistic: str,
        *,
        system: str | None = None,
        reference: str | None = None,
        model: str | None = None,
        task: str | None = None,
        concept: str | None = None,
        layer: int | None = None,
    ) -> str:
        """The paper's number beside one of this study's; empty if there is none."""
        return self.found.get((place, statistic, system, reference, model, task, concept, layer), "")

    def remarks(self, place: str) -> list[str]:
        """Whose the numbers in brackets are."""
        there = self.rows.filter(place=place)
        if not there.height:
            return []
        elsewhere = there.filter(pl.col("ours_layer") != pl.col("layer")).height
        return [BRACKETS, *who_is_whom(there), *([DEPTH] if elsewhere else [])]


def _away(row: Mapping[str, Any], tables: Tables) -> float:
    """How far apart the paper's layer and this study's are, as shares of the depth."""
    if row["ours_layer"] is None:
        return 0.0
    table = tables[str(STATISTICS[row["statistic"]].layered)]
    watched = table.filter(model=row["ours_model"])["layer"].unique().sort().to_list()
    return abs(depth(row["ours_layer"], watched, exact=False) - row["layer"] / LAST_LAYER)
