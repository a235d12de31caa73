"""Agreement of every pair on every task as a heatmap (paper's Figure 1)."""

import math
import textwrap
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.display import UNDEFINED, decimal
from cascade_equivalence.report.naming import HEARING, task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GUESSING = " ‡"
DARK_BELOW = 0.6  # share of the colour scale under which a cell needs light text
GROUPS = {True: "Speech LLM and cascade", False: "Cascade and cascade"}
ROW_INCHES, GAP_INCHES = 0.62, 0.42
LABEL_WIDTH = 46  # letters of a line of a pair's label
MATCH_AT, LABEL_AT = -24, -52  # points left of the cells
TASKS_AT = 8  # points above the cells, where the names of the tasks are


def agreement_heatmap(table: pl.DataFrame) -> "Figure":
    """Cohen's kappa of every pair on every task, clean speech: speech LLMs first, then by falling mean.

    Args:
        table: Tidy agreement table.

    Returns:
        A figure; cells without a kappa are hatched and say ``n/a``, tasks a pair was not run on are blank.
    """
    from matplotlib import pyplot as plt

    speech = pl.col("system_kind").is_in(HEARING) | pl.col("reference_kind").is_in(HEARING)
    clean = table.filter(pl.col("condition") == CLEAN).with_columns(speech=speech)
    tasks = clean["task"].unique(maintain_order=True).to_list()
    groups = {key: part for key in GROUPS if (part := clean.filter(pl.col("speech") == key)).height}
    pairs = {
        key: part.group_by("system", "reference", "pair", "match", maintain_order=True)
        .agg(pl.mean("kappa"))
        .sort("kappa", descending=True, nulls_last=True, maintain_order=True)
        for key, part in groups.items()
    }
    heights = [part.height for part in pairs.values()]
    inches = ROW_INCHES * sum(heights) + GAP_INCHES * (len(heights) - 1)
    smallest = clean["kappa"].min()
    lowest = min(0.0, math.floor(10 * smallest) / 10) if isinstance(smallest, float) else 0.0
    figure, grid = plt.subplots(
        len(groups),
        1,
        figsize=(1.6 + 1.15 * len(tasks), inches / 0.9),
        squeeze=False,
        gridspec_kw={
            "height_ratios": heights,
            "hspace": GAP_INCHES * len(heights) / (ROW_INCHES * sum(heights)),
            "top": 0.95,
            "bottom": 0.05,
        },
    )
    for i, (key, axes) in enumerate(zip(groups, grid.flat, strict=True)):
        _cells(axes, groups[key], pairs[key], tasks, lowest)
        axes.tick_params(axis="x", length=0, labeltop=i == 0, labelbottom=False)
        if len(groups) > 1:
            _beside(axes, GROUPS[key], (LABEL_AT, TASKS_AT), 0, {"weight": "bold", "ha": "right", "size": 8.5})
        if i == 0:
            _beside(axes, "match", (MATCH_AT, TASKS_AT), 0, {"ha": "center", "size": 8, "color": "0.4"})
    bar = figure.colorbar(grid.flat[0].collections[0], ax=list(grid.flat), pad=0.02, aspect=12 * sum(heights) / 2)
    bar.set_label("Cohen's κ")
    bar.outline.set_visible(False)
    for solids in bar.ax.collections:  # a vector figure throughout, without seams
        solids.set_rasterized(False)
        solids.set_edgecolor("face")
    return figure


def _cells(axes: "Axes", cells: pl.DataFrame, pairs: pl.DataFrame, tasks: list[str], lowest: float) -> None:
    import numpy as np
    import seaborn as sns

    rows = list(pairs.iter_rows(named=True))
    found = {(row["system"], row["reference"], row["task"]): row for row in cells.iter_rows(named=True)}
    values = np.full((len(rows), len(tasks)), np.nan)
    for i, pair in enumerate(rows):
        for j, task in enumerate(tasks):
            kappa = found.get((pair["system"], pair["reference"], task), {}).get("kappa")
            values[i, j] = np.nan if kappa is None else kappa
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
        cbar=False,
    )
    for i, pair in enumerate(rows):
        _row_label(axes, i, pair)
        for j, task in enumerate(tasks):
            if row := found.get((pair["system"], pair["reference"], task)):
                shade = (values[i, j] - lowest) / (1 - lowest)
                _kappa_cell(axes, (j, i), row, "white" if shade < DARK_BELOW else "black")


def _row_label(axes: "Axes", i: int, pair: dict[str, Any]) -> None:
    lines = textwrap.wrap(pair["pair"], LABEL_WIDTH, max_lines=2, placeholder=" …")
    top = 5.0 + 5 * len(lines)
    _beside(
        axes, f"{pair['system']} vs. {pair['reference']}", (LABEL_AT, top - 3), i + 0.5, {"ha": "right", "size": 8.5}
    )
    for k, line in enumerate(lines):
        up = top - 16 - 10 * k
        _beside(axes, line, (LABEL_AT, up), i + 0.5, {"ha": "right", "size": 7.5, "color": "0.4"})
    _beside(axes, pair["match"], (MATCH_AT, 0), i + 0.5, {"ha": "center", "size": 8.5})


def _beside(axes: "Axes", text: str, offset: tuple[float, float], y: float, style: dict[str, Any]) -> None:
    """Write left of the cells: at a height in rows, moved by an offset in points."""
    look: dict[str, Any] = {"color": "0.1", "va": "center", "annotation_clip": False} | style
    axes.annotate(text, (0, y), xytext=offset, textcoords="offset points", **look)


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
