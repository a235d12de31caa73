"""How every figure looks, and how it is written: as SVG and as PNG, the same bytes for the same numbers."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[pl.DataFrame], "Figure"]
DPI = 150
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
}


def save(draw: Draw, table: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw a figure and write it as SVG and PNG.

    Args:
        draw: Function from a tidy table to a figure.
        table: The table.
        stem: Path without suffix; its last part also salts the identifiers inside the SVG, so that two figures can
            stand in one page.

    Returns:
        The SVG and the PNG.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import seaborn as sns
    from matplotlib import pyplot as plt

    written = []
    with mpl.rc_context():
        sns.set_theme(context="paper", style="white", rc=STYLE | {"svg.hashsalt": stem.name})
        figure = draw(table)
        for suffix, metadata in ((".svg", {"Date": None, "Creator": None}), (".png", {"Software": None})):
            buffer = io.BytesIO()
            figure.savefig(
                buffer,
                format=suffix[1:],
                dpi=DPI,
                bbox_inches="tight",
                pad_inches=0.08,
                facecolor="white",
                metadata=metadata,
            )
            written.append(write_bytes(stem.with_suffix(suffix), buffer.getvalue()))
        plt.close(figure)
    return written
