"""The paper's Tables 1 to 7 in its own layout, with this study's numbers and the paper's, and where each of them is."""

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import polars as pl

from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.files import write_text
from cascade_equivalence.report.comparison import comparison
from cascade_equivalence.report.display import Display, markdown
from cascade_equivalence.report.figures.figure import FIGURES, Counterpart
from cascade_equivalence.report.latex import latex
from cascade_equivalence.report.paper_layout_behaviour import table1, table2, table3, table6
from cascade_equivalence.report.paper_layout_inside import table4, table5, table7
from cascade_equivalence.report.paper_layout_table import Beside, PaperTable
from cascade_equivalence.report.shared_errors import SCHEMA
from cascade_equivalence.report.tables import Tables

ABSENT = "not in this study"
COUNTERPARTS = {
    "table1": Counterpart(1, "systems", ("accuracy",), "parts of each system beside their sizes"),
    "table2": Counterpart(
        2, "accuracy on clean speech", ("accuracy",), "marks accuracies at chance; intervals are in accuracy.csv"
    ),
    "table3": Counterpart(
        3,
        "examples of shared errors",
        ("shared_errors", "errors"),
        "LLM or ASR by whether the transcript has a word error; none is called ambiguous",
    ),
    "table4": Counterpart(4, "probes at some layers", ("probes",), "controls and intervals are in probes.csv"),
    "table5": Counterpart(5, "logit lens by layer", ("lens",), "chance, recall and intervals are in lens.csv"),
    "table6": Counterpart(6, "sufficiency of emergent text", ("sufficiency",), "marks systems at chance"),
    "table7": Counterpart(
        7,
        "accuracy under concept erasure",
        ("erasure", "erasure_controls", "erasers"),
        "d counts directions that are taken away, the paper's the columns of the concept; controls are in "
        "erasure_controls.csv",
    ),
}
"""By name in the paper's layout; the figures say it of themselves."""


def paper_index(tables: Container[str], figures: Container[str]) -> Display:
    """Where a reader of the paper finds what.

    Args:
        tables: Names of the study's tables in the paper's layout.
        figures: Names of its figures.

    Returns:
        A row for each table and figure of the paper; files from the folder of results.
    """
    drawn = sorted(
        ((figure.paper, figure) for figure in FIGURES.values() if figure.paper), key=lambda each: each[0].number
    )
    rows = [
        *(_row("Table", each, f"paper/{name}.md", found=name in tables) for name, each in COUNTERPARTS.items()),
        *(_row("Figure", each, f"figures/{figure.stem}.svg", found=figure.name in figures) for each, figure in drawn),
    ]
    return Display(
        name="paper_index",
        title="Where the paper's tables and figures are",
        columns=["In the paper", "What it shows", "Here", "Its numbers", "What is different here"],
        rows=rows,
        remarks=[
            "Files from the folder of results; tables in the paper's layout are there as CSV and LaTeX as well, "
            "figures as PNG. The paper has no figure that is an overview or a scheme.",
            "Bars, lines and colours are not copied from the paper: each figure shows what the paper's does and can be "
            "read without colour.",
            "Every number that the paper prints stands beside the study's in comparison.csv; those that its figures "
            "draw without printing them do not.",
        ],
        text_columns=5,
    )


def _row(kind: str, each: Counterpart, file: str, *, found: bool) -> list[str]:
    numbers = ", ".join(f"tables/{name}.csv" for name in each.numbers)
    return [
        f"{kind} {each.number}",
        each.shows,
        *((file, numbers, each.differs) if found else (ABSENT, "", "")),
    ]


NAMES = tuple(COUNTERPARTS)


def paper_displays(
    tables: Tables,
    shared_errors: pl.DataFrame | None,
    paper: PaperConfig | None,
    numbers: pl.DataFrame,
    sizes: Mapping[str, str] = MappingProxyType({}),
) -> list[PaperTable]:
    """The paper's tables with this study's systems and models in the rows.

    Args:
        tables: The study's tidy tables.
        shared_errors: Examples of the same wrong answer, what ``shared_errors`` gives; None for no Table 3.
        paper: Which of the study's systems and models are the paper's, or stand in for them.
        numbers: The paper's numbers, with the columns ``NUMBERS``.
        sizes: By system, how many parameters its models have.

    Returns:
        Tables named ``table1`` to ``table7``; those with no rows are left out.
    """
    beside = Beside.of(comparison(numbers, tables, paper), tables)
    examples = pl.DataFrame(schema=SCHEMA) if shared_errors is None else shared_errors
    found = [
        table1(tables, sizes),
        table2(tables, beside),
        table3(tables, examples, beside),
        table4(tables, beside),
        table5(tables, beside),
        table6(tables, beside),
        table7(tables, beside),
    ]
    return [table for table in found if table.rows]


def write_paper_tables(displays: Iterable[PaperTable], folder: Path) -> None:
    """Write each table as ``{name}.csv`` (plain numbers), ``{name}.md`` and ``{name}.tex``.

    Files of a table that is not among them are removed, so that none is left of an earlier study.

    Args:
        displays: The tables.
        folder: Where the files go.
    """
    there = {table.name: table for table in displays}
    for name in NAMES:
        if (table := there.get(name)) is None:
            for ending in ("csv", "md", "tex"):
                (folder / f"{name}.{ending}").unlink(missing_ok=True)
            continue
        write_text(folder / f"{name}.csv", table.csv())
        write_text(folder / f"{name}.md", markdown(table))
        write_text(folder / f"{name}.tex", latex(table))
