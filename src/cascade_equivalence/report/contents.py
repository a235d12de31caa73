"""Which tables a study shows, in which order."""

from collections.abc import Container
from pathlib import Path

from cascade_equivalence.files import write_text
from cascade_equivalence.report import (
    costs_table,
    equivalence_table,
    errors_table,
    groupings_table,
    indices_table,
    power_table,
    ranking_table,
    retest_table,
    shared_errors,
    surplus_table,
    tests_table,
)
from cascade_equivalence.report.display import Display, markdown
from cascade_equivalence.report.erasure_tables import erasure, erasure_controls
from cascade_equivalence.report.pair_tables import agreement, contrasts
from cascade_equivalence.report.probe_tables import lens, probes
from cascade_equivalence.report.sufficiency_tables import erasers, sufficiency
from cascade_equivalence.report.system_tables import accuracy, noise, transcription
from cascade_equivalence.report.tables import OPTIONAL, Tables


def displays(tables: Tables, confidence: float) -> list[Display]:
    """All tables on what systems do that have something to show a reader.

    Args:
        tables: The tidy tables.
        confidence: Level of their intervals.

    Returns:
        Accuracy, agreement, contrasts, noise and transcription, in this order.
    """
    return [display for display in _outside(tables, confidence) if display.rows]


def inside_displays(tables: Tables, confidence: float) -> list[Display]:
    """All tables on what goes on inside opened models that have something to show a reader.

    Returns:
        Probes, lens, sufficiency, erasure, its controls, and erasers, in this order.
    """
    return [display for display in _inside(tables, confidence) if display.rows]


def write_markdown(tables: Tables, folder: Path, confidence: float, always: Container[str] = ()) -> None:
    """Write each table as ``{name}.md``, with no rows if nothing was run; what a clock measured as ``times.md``.

    Args:
        tables: The tidy tables.
        folder: Where the files go.
        confidence: Level of the intervals.
        always: Names in ``OPTIONAL`` that have a file even if they are empty.
    """
    files = {display.name: display for display in (*_outside(tables, confidence), *_inside(tables, confidence))}
    files |= {display.name: display for display in costs_table.files(tables.costs, confidence)}
    for display in files.values():
        path = folder / f"{display.name}.md"
        if display.name in OPTIONAL and not display.rows and display.name not in always:
            path.unlink(missing_ok=True)
        else:
            write_text(path, markdown(display))


def _outside(tables: Tables, confidence: float) -> list[Display]:
    return [
        accuracy(tables.accuracy, confidence),
        agreement(tables.agreement, confidence),
        indices_table.display(tables.indices, confidence),
        equivalence_table.display(tables.equivalence, confidence),
        tests_table.display(tables.tests, confidence),
        power_table.display(tables.power, confidence),
        errors_table.display(tables.errors, confidence),
        groupings_table.display(tables.groupings, confidence),
        retest_table.display(tables.retest, confidence),
        contrasts(tables.contrasts, tables.agreement, confidence),
        shared_errors.display(tables.shared_errors),
        noise(tables.noise, confidence),
        ranking_table.display(tables.ranking, confidence),
        transcription(tables.transcription),
        surplus_table.display(tables.surplus, confidence),
        costs_table.display(tables.costs, confidence),
    ]


def _inside(tables: Tables, confidence: float) -> list[Display]:
    return [
        probes(tables.probes, confidence),
        lens(tables.lens, confidence),
        sufficiency(tables.sufficiency, confidence),
        erasure(tables.erasure, tables.erasers),
        erasure_controls(tables.erasure, tables.erasure_controls, confidence),
        erasers(tables.erasers),
    ]
