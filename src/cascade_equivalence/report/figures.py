"""The study's figures: agreement as a heatmap (paper's Figure 1), accuracy against noise (paper's Figure 3).

Both can be read without colour: the heatmap has its values in the cells, the lines differ in marker and dashes. The
SVG is the same, byte for byte, for the same numbers.
"""

import io
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.atomic import write_bytes
from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.display import MINUS, UNDEFINED, decimal
from cascade_equivalence.report.naming import task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
MARKERS = "os^DvPX<>*"
COLORS = [0, 1, 2, 3, 4, 5, 7, 9, 6, 8]  # of seaborn's colour-blind palette, the palest last
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
GUESSING = " ‡"
DARK_BELOW = 0.6  # share of the colour scale under which a cell needs light text
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


def write_figures(agreement: pl.DataFrame, noise: pl.DataFrame, folder: Path) -> list[Path]:
    """Draw the figures that have something to show.

    Args:
        agreement: Tidy agreement table.
        noise: Tidy noise table.
        folder: Where ``agreement.{svg,png}`` and ``noise.{svg,png}`` go.

    Returns:
        The files written; a study without pairs has no heatmap, one without noise no curves.
    """
    written = []
    if agreement.filter(pl.col("condition") == CLEAN).height:
        written += save(agreement_heatmap, agreement, folder / "agreement")
    if noise.height:
        written += save(noise_curves, noise, folder / "noise")
    return written


def save(draw: Callable[[pl.DataFrame], "Figure"], table: pl.DataFrame, stem: Path) -> list[Path]:
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


def agreement_heatmap(table: pl.DataFrame) -> "Figure":
    """Cohen's kappa of every pair on every task, clean speech; rows by falling mean kappa (paper's Figure 1).

    Args:
        table: Tidy agreement table.

    Returns:
        A figure; cells without a kappa are hatched and say ``n/a``, tasks a pair was not run on are blank.
    """
    import numpy as np
    import seaborn as sns
    from matplotlib import pyplot as plt

    clean = table.filter(pl.col("condition") == CLEAN)
    tasks = clean["task"].unique(maintain_order=True).to_list()
    pairs = clean.group_by("system", "reference", "pair", maintain_order=True).agg(pl.mean("kappa"))
    pairs = pairs.sort("kappa", descending=True, nulls_last=True, maintain_order=True)
    cells = {(row["system"], row["reference"], row["task"]): row for row in clean.iter_rows(named=True)}

    values = np.full((pairs.height, len(tasks)), np.nan)
    rows = list(pairs.select("system", "reference", "pair").iter_rows())
    for i, (system, reference, _) in enumerate(rows):
        for j, task in enumerate(tasks):
            kappa = cells.get((system, reference, task), {}).get("kappa")
            values[i, j] = np.nan if kappa is None else kappa
    lowest = min(0.0, math.floor(10 * np.nanmin(values)) / 10) if not np.isnan(values).all() else 0.0
    figure, axes = plt.subplots(figsize=(1.6 + 1.15 * len(tasks), 0.5 + 0.72 * len(rows)))
    sns.heatmap(
        values,
        ax=axes,
        vmin=lowest,
        vmax=1,
        cmap="cividis",
        linewidths=1.5,
        linecolor="white",
        xticklabels=[task_title(task) for task in tasks],
        yticklabels=False,
        cbar_kws={"label": "Cohen's κ", "pad": 0.02, "aspect": 12},
    )
    for solids in figure.axes[-1].collections:  # of the colour bar: a vector figure throughout, without seams
        solids.set_rasterized(False)
        solids.set_edgecolor("face")
    for i, (system, reference, pair) in enumerate(rows):
        label = ((system, 13, 8.5, "0.1"), (f"vs. {reference}", 0, 8.5, "0.1"), (pair, -13, 7.5, "0.4"))
        for text, up, size, color in label:
            axes.annotate(
                text,
                (0, i + 0.5),
                xytext=(-6, up),
                textcoords="offset points",
                ha="right",
                va="center",
                size=size,
                color=color,
                annotation_clip=False,
            )
        for j, task in enumerate(tasks):
            if row := cells.get((system, reference, task)):
                shade = (values[i, j] - lowest) / (1 - lowest)
                _kappa_cell(axes, (j, i), row, "white" if shade < DARK_BELOW else "black")
    axes.tick_params(axis="x", length=0, labeltop=True, labelbottom=False)
    return figure


def _kappa_cell(axes: "Axes", corner: tuple[int, int], row: dict[str, Any], color: str) -> None:
    from matplotlib.patches import Rectangle

    x, y = corner[0] + 0.5, corner[1] + 0.5
    if row["kappa"] is None:
        inset = 0.02
        axes.add_patch(
            Rectangle(
                (corner[0] + inset, corner[1] + inset),
                1 - 2 * inset,
                1 - 2 * inset,
                facecolor="0.97",
                hatch="////",
                edgecolor="0.75",
                linewidth=0,
            )
        )
        plate = {"facecolor": "0.97", "edgecolor": "none", "pad": 2}
        axes.text(x, y, UNDEFINED, ha="center", va="center", color="0.2", size=10, bbox=plate)
        return
    guessing = {row["system_against_chance"], row["reference_against_chance"]} & {"at", "below"}
    value = decimal(row["kappa"]) + (GUESSING if guessing else "")
    axes.text(x, y - 0.08, value, ha="center", va="center", color=color, size=11)
    if row["kappa_low"] is not None:
        ends = f"[{decimal(row['kappa_low'])}, {decimal(row['kappa_high'])}]"
        axes.text(x, y + 0.22, ends, ha="center", va="center", color=color, size=7)


def noise_curves(table: pl.DataFrame) -> "Figure":
    """Accuracy against signal-to-noise ratio, one panel a task, one line a system (paper's Figure 3).

    Args:
        table: Tidy noise table.

    Returns:
        A figure; clean speech stands apart at the left, bands are the intervals, a dotted line is chance.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    tasks = table["task"].unique(maintain_order=True).to_list()
    systems = table["system"].unique(maintain_order=True).to_list()
    palette = sns.color_palette("colorblind")
    columns = 2 if len(tasks) == 4 else min(3, len(tasks))  # noqa: PLR2004 - two rows of two, not three and one
    lines = math.ceil(len(tasks) / columns)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(0.6 + 2.9 * columns, 0.7 + 2.5 * lines),
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.1),
    )
    levels = sorted({level for level in table["snr_db"] if level is not None}, reverse=True)
    steps = [high - low for high, low in pairwise(levels)]
    clean = levels[0] + (max(steps) if steps else 5)
    for axes, task in zip(grid.flat, tasks, strict=False):
        part = table.filter(pl.col("task") == task)
        for i, system in enumerate(systems):
            look = {
                "color": palette[COLORS[i % len(COLORS)]],
                "marker": MARKERS[i % len(MARKERS)],
                "linestyle": DASHES[i % len(DASHES)],
                "label": system,
            }
            _noise_line(axes, part.filter(pl.col("system") == system), clean, look)
        chance = part["chance"][0]
        if chance is not None:
            axes.axhline(100 * chance, color="0.35", linestyle=(0, (1, 2)), linewidth=1, zorder=1)
            axes.annotate(
                "chance",
                (1, 100 * chance),
                xycoords=("axes fraction", "data"),
                xytext=(2, 0),
                textcoords="offset points",
                va="center",
                size=7,
                color="0.35",
            )
        axes.set_title(task_title(task))
        axes.set_xticks([clean, *levels], ["clean", *(f"{level:g}".replace("-", MINUS) for level in levels)])
        axes.invert_xaxis()
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        sns.despine(ax=axes)
    for axes in list(grid.flat)[len(tasks) :]:
        axes.set_visible(False)
    figure.supxlabel("Signal-to-noise ratio (dB)", size=9)
    figure.supylabel("Accuracy (%)", size=9)
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper center", ncols=min(3, len(systems)), frameon=False, handlelength=3.2
    )
    return figure


def _noise_line(axes: "Axes", rows: pl.DataFrame, clean: float, look: dict[str, Any]) -> None:
    rows = rows.with_columns(x=pl.col("snr_db").fill_null(clean)).sort("x", descending=True)
    x = rows["x"].to_numpy()
    accuracy, low, high = (100 * rows[name].to_numpy() for name in ("accuracy", "accuracy_low", "accuracy_high"))
    axes.fill_between(x, low, high, color=look["color"], alpha=0.12, linewidth=0)
    axes.plot(x, accuracy, markersize=5, markeredgecolor="white", markeredgewidth=0.5, linewidth=1.5, **look)
