"""A table as a reader sees it: rounded, titled, with remarks; source of the Markdown, HTML and terminal forms."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARKS = {"above": "", "at": " ‡", "below": " §", "unknown": " ∘", None: ""}
MARK_LEGEND = {
    "‡": "at chance: not shown to be above what the system's own answers would reach if given to other items.",
    "§": "below chance: shown to be below what its own answers would reach if given to other items.",
    "∘": "too few groups of texts to say whether it is above chance.",
}
NOT_RUN = "\N{EN DASH}"
UNDEFINED = "n/a"
MINUS = "\N{MINUS SIGN}"
SMALLEST_P = 0.001
CONTROLS = frozenset({"Cc", "Zl", "Zp"})
"""Categories of characters that control a terminal or end a line."""


@dataclass(frozen=True)
class Display:
    """A table of finished strings.

    Attributes:
        name: Short name, used for files and links.
        title: Heading.
        columns: Column headings.
        rows: Cells, one list a row.
        remarks: What the reader has to know, one sentence or two each.
        text_columns: How many of the first columns are text (set to the left; the others are numbers).
    """

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    remarks: list[str]
    text_columns: int = 1


def percent(value: float | None) -> str:
    """A share in percent with one decimal."""
    return UNDEFINED if value is None else f"{100 * value:.1f}"


def points(value: float | None) -> str:
    """A change in percentage points, with its sign."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return UNDEFINED if value is None else f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", MINUS)


def points_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A change in percentage points with its interval, where there is one."""
    return points(value) if low is None else f"{points(value)} [{points(low)}, {points(high)}]"


def span(values: Iterable[float | None], shown: Callable[[float], str]) -> str:
    """From the lowest to the highest of some values; one number where both look the same."""
    there = sorted(value for value in values if value is not None)
    return " to ".join(dict.fromkeys(map(shown, (there[0], there[-1])))) if there else UNDEFINED


def decimal(value: float | None, *, signed: bool = False) -> str:
    """A number with two decimals; a difference has its sign, unless it rounds to nothing."""
    if value is None:
        return UNDEFINED
    rounded = round(value, 2) + 0.0
    return (f"{rounded:+.2f}" if signed and rounded else f"{rounded:.2f}").replace("-", MINUS)


def interval(value: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    """A value with its interval, where there is one."""
    number = decimal(value, signed=signed)
    return number if low is None else f"{number} [{decimal(low, signed=signed)}, {decimal(high, signed=signed)}]"


def ends(row: Mapping[str, Any], name: str, *, signed: bool = False) -> str:
    """A row's number of a name with its interval."""
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], signed=signed)


def points_ends(row: Mapping[str, Any], name: str) -> str:
    """The same of a difference in points."""
    return points_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def p_value(value: float | None) -> str:
    """A p-value, never rounded to zero."""
    if value is None:
        return UNDEFINED
    return f"<{SMALLEST_P}" if value < SMALLEST_P else f"{value:.3f}"


def mark_legend(cells: Iterable[str]) -> list[str]:
    """What the marks in some cells mean, one remark each."""
    text = "".join(cells)
    return [f"{mark} {meaning}" for mark, meaning in MARK_LEGEND.items() if mark in text]


def markdown(display: Display) -> str:
    """A table in Markdown, its columns aligned in the source as well."""
    header = [_escape(column) for column in display.columns]
    body = [[_escape(cell) for cell in row] for row in display.rows]
    widths = [max(len(row[i]) for row in [header, *body]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if i < display.text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * max(3, width) if i < display.text_columns else "-" * (max(3, width) - 1) + ":"
        for i, width in enumerate(widths)
    ]
    table = [line(header), f"| {' | '.join(rule)} |", *(line(row) for row in body)]
    prose = [f"{_prose(remark)}\n" for remark in display.remarks]
    return "\n".join([f"## {_prose(display.title)}", "", *table, "", *prose])


def one_line(text: str) -> str:
    """Text without line breaks and control characters, which a terminal obeys."""
    return "".join(" " if unicodedata.category(each) in CONTROLS else each for each in text)


def _escape(cell: str) -> str:
    """A cell's text as text: no column of its own, no HTML, no link and no image."""
    return one_line(cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("](", "]\\("))


def _prose(text: str) -> str:
    """Prose that may quote items, names and answers: no HTML, no link and no image; a sign of comparison stays."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", one_line(text)).replace("](", "]\\(")
