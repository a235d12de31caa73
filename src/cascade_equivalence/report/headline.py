"""The main tables of a study in the terminal, for `show --all`."""

import sys
from collections.abc import Sequence
from itertools import compress
from typing import TextIO

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.claims_table import display as claims_display
from cascade_equivalence.report.display import Display, mark_legend
from cascade_equivalence.report.pair_tables import agreement
from cascade_equivalence.report.pair_tables import contrasts as contrast_table
from cascade_equivalence.report.system_tables import accuracy
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_mechanism import findings, tally
from cascade_equivalence.report.wording import printable

PLAIN_WIDTH = 400  # a log has no edge, so nothing is wrapped or cut


def print_headline(
    tables: Tables,
    statistics: StatisticsConfig,
    stream: TextIO | None = None,
    *,
    claims: pl.DataFrame | None = None,
) -> None:
    """Print accuracy, agreement and contrasts on clean speech, what holds inside opened models, and the paper's claims.

    Args:
        tables: The tidy tables.
        statistics: Level of their intervals, false discovery rate of the claims.
        stream: Where to; standard output by default. Colours and lines are drawn only in a terminal.
        claims: The paper's claims on this study, what ``claims_table`` gives; each has a line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    stream = sys.stdout if stream is None else stream
    confidence = statistics.confidence
    terminal = stream.isatty()
    console = Console(file=stream, width=None if terminal else PLAIN_WIDTH, highlight=False, markup=False)
    pairs, contrasts = (table.filter(pl.col("condition") == CLEAN) for table in (tables.agreement, tables.contrasts))
    for shown in (
        _without(accuracy(tables.accuracy, confidence), "Made of"),
        _short(
            agreement(pairs, confidence), "Pair", "Match", "Task", "κ", "Same answer", "p by texts", "Error overlap"
        ),
        _short(contrast_table(contrasts, pairs, confidence), "System", "Task", "Difference", "Shown"),
        tally(findings(tables, statistics)),
        *([] if claims is None else [_short(claims_display(claims, confidence), "Claim", "Outcome", "Value")]),
    ):
        if not shown.rows:
            continue
        table = Table(
            title=shown.title, title_justify="left", box=box.SIMPLE_HEAD if terminal else None, pad_edge=False
        )
        for i, column in enumerate(shown.columns):
            table.add_column(column, justify="left" if i < shown.text_columns else "right")
        for row in shown.rows:
            table.add_row(*map(printable, row))
        console.print(table)
        for remark in mark_legend(cell for row in shown.rows for cell in row):
            console.print(remark)
        console.print()


def _short(table: Display, *beginnings: str) -> Display:
    """The columns of a table that say most, by how their headings begin."""
    return _columns(table, [name.startswith(beginnings) for name in table.columns])


def _without(table: Display, heading: str) -> Display:
    """A table without one column."""
    return _columns(table, [name != heading for name in table.columns])


def _columns(table: Display, keep: Sequence[bool]) -> Display:
    """Some columns of a table, without its remarks."""
    return Display(
        table.name,
        table.title,
        list(compress(table.columns, keep)),
        [list(compress(row, keep)) for row in table.rows],
        [],
        text_columns=sum(keep[: table.text_columns]),
    )
