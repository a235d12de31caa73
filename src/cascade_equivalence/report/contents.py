"""All tables of the page as a reader sees them, in order."""

from collections.abc import Container
from pathlib import Path

from cascade_equivalence.files import write_text
from cascade_equivalence.report.display import Display, markdown
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables


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
