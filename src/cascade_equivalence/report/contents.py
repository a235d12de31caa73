"""Which tables a study shows, in which order."""

from pathlib import Path

from cascade_equivalence.atomic import write_text
from cascade_equivalence.report.display import Display, markdown
from cascade_equivalence.report.pair_tables import agreement, contrasts
from cascade_equivalence.report.system_tables import accuracy, noise, transcription
from cascade_equivalence.report.tables import Tables


def displays(tables: Tables, confidence: float) -> list[Display]:
    """All tables that have something to show a reader.

    Args:
        tables: The tidy tables.
        confidence: Level of their intervals.

    Returns:
        Accuracy, agreement, contrasts, noise and transcription, in this order.
    """
    return [display for display in _all(tables, confidence) if display.rows]


def write_markdown(tables: Tables, folder: Path, confidence: float) -> None:
    """Write each table as ``{name}.md``, with no rows if nothing was run; but contrasts only if there are any."""
    for display in _all(tables, confidence):
        path = folder / f"{display.name}.md"
        if display.name == "contrasts" and not display.rows:
            path.unlink(missing_ok=True)
        else:
            write_text(path, markdown(display))


def _all(tables: Tables, confidence: float) -> list[Display]:
    return [
        accuracy(tables.accuracy, confidence),
        agreement(tables.agreement, confidence),
        contrasts(tables.contrasts, tables.agreement, confidence),
        noise(tables.noise, confidence),
        transcription(tables.transcription),
    ]
