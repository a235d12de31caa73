"""The paper's Tables 1 to 7 in its own layout, with this study's numbers and, where they apply, the paper's."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import polars as pl

from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.files import write_text
from cascade_equivalence.report.comparison import comparison
from cascade_equivalence.report.display import markdown
from cascade_equivalence.report.latex import latex
from cascade_equivalence.report.paper_layout_behaviour import table1, table2, table3, table6
from cascade_equivalence.report.paper_layout_beside import Beside
from cascade_equivalence.report.paper_layout_inside import table4, table5, table7
from cascade_equivalence.report.paper_layout_table import PaperTable
from cascade_equivalence.report.shared_errors import SCHEMA
from cascade_equivalence.report.tables import Tables

NAMES = tuple(f"table{number}" for number in range(1, 8))


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
