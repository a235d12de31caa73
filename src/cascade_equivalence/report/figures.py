"""The study's figures as files.

Agreement as a heatmap (paper's Figure 1), shared errors (Figure 2), accuracy against noise (Figure 3), of opened models
what probes read (Figure 4), the logit lens (Figure 5) and accuracy under erasure (Figure 6); accuracy against cost. All
can be read without colour: the heatmap has its values in the cells, lines and dots differ in marker, filling and
dashes. The SVG is the same, byte for byte, for the same numbers.
"""

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.costs_figure import costs_figure
from cascade_equivalence.report.drawing import Draw, save
from cascade_equivalence.report.erasure_figure import erasure_figure
from cascade_equivalence.report.heatmap import agreement_heatmap
from cascade_equivalence.report.lens_figure import lens_figure
from cascade_equivalence.report.noise_curves import noise_curves
from cascade_equivalence.report.overlap_figure import informative, overlap_figure
from cascade_equivalence.report.paper_index import figure_file
from cascade_equivalence.report.probe_figure import probe_figure
from cascade_equivalence.report.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figures(tables: Tables, folder: Path, always: Container[str] = ()) -> list[Path]:
    """Draw the figures that have something to show.

    Args:
        tables: The tidy tables.
        folder: Where SVG and PNG go, named by ``figure_file``: agreement, overlap, costs, noise, probes, lens, erasure.
        always: Figures that are written even if there is nothing to show in them; they say so.

    Returns:
        The files written; a study without pairs has no heatmap, one without noise no curves, and so on.
    """
    costed = tables.costs.filter(pl.col("seconds_per_item") > 0, condition=CLEAN)
    drawings: dict[str, tuple[Draw, pl.DataFrame, bool]] = {
        "agreement": (agreement_heatmap, tables.agreement, tables.agreement.filter(condition=CLEAN).height > 0),
        "overlap": (overlap_figure, tables.agreement, informative(tables.agreement).height > 0),
        "costs": (costs_figure, tables.costs, costed.height > 0),
        "noise": (noise_curves, tables.noise, tables.noise.height > 0),
        "probes": (probe_figure, tables.probes, tables.probes.height > 0),
        "lens": (lens_figure, tables.lens, tables.lens.height > 0),
        "erasure": (erasure_figure, tables.erasure, tables.erasure.height > 0),
    }
    written = []
    for name, (draw, table, shown) in drawings.items():
        if shown or name in always:
            written += save(draw if shown else _nothing, table, folder / figure_file(name))
    return written


def _nothing(_: pl.DataFrame) -> "Figure":
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(5, 1))
    figure.text(0.5, 0.5, "This study has nothing to show here.", ha="center", va="center")
    return figure
