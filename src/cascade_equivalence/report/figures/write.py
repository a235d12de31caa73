"""The study's figures as files.

All can be read without colour: the heatmap has its values in the cells, lines and dots differ in marker, filling and
dashes. The SVG is the same, byte for byte, for the same numbers.
"""

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.report.figures.drawing import save
from cascade_equivalence.report.figures.figure import FIGURES
from cascade_equivalence.report.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figures(tables: Tables, folder: Path, always: Container[str] = ()) -> list[Path]:
    """Draw the figures that have something to show.

    Args:
        tables: The tidy tables.
        folder: Where SVG and PNG go, named by ``Figure.stem``.
        always: Figures that are written even if there is nothing to show in them; they say so.

    Returns:
        The files written; a study without pairs has no heatmap, one without noise no curves, and so on.
    """
    written = []
    for figure in FIGURES.values():
        table = tables[figure.table]
        shown = figure.has(table)
        if shown or figure.name in always:
            written += save(figure.draw if shown else _nothing, table, folder / figure.stem)
    return written


def _nothing(_: pl.DataFrame) -> "Figure":
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(5, 1))
    figure.text(0.5, 0.5, "This study has nothing to show here.", ha="center", va="center")
    return figure
