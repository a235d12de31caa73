"""The study's headline in the terminal."""

import sys
from typing import TextIO

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report import display
from cascade_equivalence.report.tables import Tables

PLAIN_WIDTH = 400  # a log has no edge, so nothing is wrapped or cut


def print_headline(tables: Tables, confidence: float, stream: TextIO | None = None) -> None:
    """Print accuracy and agreement on clean speech.

    Args:
        tables: The tidy tables.
        confidence: Level of their intervals.
        stream: Where to; standard output by default. Colours and lines are drawn only in a terminal.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    stream = sys.stdout if stream is None else stream
    terminal = stream.isatty()
    console = Console(file=stream, width=None if terminal else PLAIN_WIDTH, highlight=False, markup=False)
    clean = tables.agreement.filter(pl.col("condition") == CLEAN)
    for shown in (display.accuracy(tables.accuracy, confidence), _short(display.agreement(clean, confidence))):
        if not shown.rows:
            continue
        table = Table(
            title=shown.title, title_justify="left", box=box.SIMPLE_HEAD if terminal else None, pad_edge=False
        )
        for i, column in enumerate(shown.columns):
            table.add_column(column, justify="left" if i < shown.text_columns else "right")
        for row in shown.rows:
            table.add_row(*row)
        console.print(table)
        legend = [f"{mark} {text}" for mark, text in display.MARK_LEGEND.items() if mark in str(shown.rows)]
        for remark in legend:
            console.print(remark)
        console.print()


def _short(agreement: display.Display) -> display.Display:
    """The columns of the agreement table that say most."""
    shown = {"Pair", "Task", "Same answer %", "McNemar p (adjusted)", "Error overlap"}
    keep = [name for name in agreement.columns if name in shown or name.startswith("κ")]
    index = [agreement.columns.index(name) for name in keep]
    return display.Display(
        agreement.name, agreement.title, keep, [[row[i] for i in index] for row in agreement.rows], [], text_columns=2
    )
