"""Tables in the paper's own layout: cells with the paper's number behind the study's, and their plain form."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cascade_equivalence.report.display import MINUS, NOT_RUN, UNDEFINED, Display

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
