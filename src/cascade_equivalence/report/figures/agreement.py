"""Agreement of every pair on every task as a heatmap (paper's Figure 1)."""

import math
import textwrap
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.chance import NOT_ABOVE, UNCLEAR, worst
from cascade_equivalence.report.chance import standing as standing_to_chance
from cascade_equivalence.report.display import MARKS, UNDEFINED, decimal
from cascade_equivalence.report.figures.figure import Counterpart, Figure
from cascade_equivalence.report.naming import HEARING, task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

GUESSING = " ‡"
COLOURS = "cividis"
GROUPS = {1: "Speech LLM and cascade", 2: "Two speech LLMs", 0: "Cascade and cascade"}
"""Headings by how many of the two hear the audio themselves."""
TICK = 0.2
ROW_INCHES, GAP_INCHES = 0.62, 0.42
LABEL_WIDTH = 46  # letters of a line of a pair's label
MATCH_AT, LABEL_AT = -24, -52  # points left of the cells
TASKS_AT = 8  # points above the cells, where the names of the tasks are
PLATE = {"facecolor": "0.97", "edgecolor": "none", "pad": 2}
"""What is written on hatching stands on."""


def agreement_heatmap(table: pl.DataFrame) -> "Drawing":
    """Cohen's kappa of every pair on every task, clean speech: speech LLMs first, then by falling mean.

    The mean is over the tasks that all pairs of a heading have a kappa of, so that no pair stands high for lack of a
    hard task; of pairs that share none, over what each has.

    Args:
        table: Tidy agreement table.

    Returns:
        A figure; cells without a kappa are hatched and say ``n/a``, those of pairs at chance are hatched and have their
        numbers, tasks a pair was not run on are blank.
    """
    from matplotlib import pyplot as plt

    speech = sum(pl.col(f"{which}_kind").is_in(HEARING).cast(pl.Int64) for which in ("system", "reference"))
    clean = table.filter(pl.col("condition") == CLEAN).with_columns(speech=speech)
    tasks = clean["task"].unique(maintain_order=True).to_list()
    groups = {key: part for key in GROUPS if (part := clean.filter(pl.col("speech") == key)).height}
    pairs = {key: ranked(part) for key, part in groups.items()}
    heights = [part.height for part in pairs.values()]
    inches = ROW_INCHES * sum(heights) + GAP_INCHES * (len(heights) - 1)
    smallest = clean["kappa"].min()
    # A labelled tick of the colour bar, so that the scale says where it begins.
    lowest = min(0.0, TICK * math.floor(round(smallest / TICK, 9))) if isinstance(smallest, float) else 0.0
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
    bar.set_ticks([TICK * step for step in range(round(lowest / TICK), round(1 / TICK) + 1)])
    bar.outline.set_visible(False)
    for solids in bar.ax.collections:  # a vector figure throughout, without seams
        solids.set_rasterized(False)
        solids.set_edgecolor("face")
    return figure


def ranked(cells: pl.DataFrame) -> pl.DataFrame:
    """The pairs of some cells, by falling mean kappa over the tasks that all of them have one of.

    Args:
        cells: Rows of the agreement table, clean speech.

    Returns:
        system, reference, pair, match and kappa, one row a pair.
    """
    names = ("system", "reference", "pair", "match")
    there = cells.filter(pl.col("kappa").is_not_null())
    # A pair with no kappa at all cannot be ranked, and does not narrow what the others share.
    tasks = [set(part["task"]) for _, part in there.group_by("system", "reference")]
    shared = set.intersection(*tasks) if tasks else set()
    counted = there.filter(pl.col("task").is_in(sorted(shared))) if shared else there
    means = counted.group_by("system", "reference").agg(pl.mean("kappa"))
    pairs = cells.select(names).unique(maintain_order=True)
    return pairs.join(means, on=["system", "reference"], how="left", maintain_order="left").sort(
        "kappa", descending=True, nulls_last=True, maintain_order=True
    )


def ink(shade: float) -> str:
    """Black or white, whichever has the higher contrast on a colour of the scale: at least 4.5 to 1, as for print.

    Args:
        shade: Place on the colour scale, in [0, 1].
    """
    import matplotlib as mpl

    light = luminance(mpl.colormaps[COLOURS](min(1.0, max(0.0, shade)))[:3])
    # Contrast is (lighter + 0.05) / (darker + 0.05) of relative luminances (WCAG 2).
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "black"


def luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2), from 0 of black to 1 of white."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]  # noqa: PLR2004
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _cells(axes: "Axes", cells: pl.DataFrame, pairs: pl.DataFrame, tasks: list[str], lowest: float) -> None:
    import numpy as np
    import seaborn as sns

    rows = list(pairs.iter_rows(named=True))
    found = {(row["system"], row["reference"], row["task"]): row for row in cells.iter_rows(named=True)}
    values = np.full((len(rows), len(tasks)), np.nan)
    for i, pair in enumerate(rows):
        for j, task in enumerate(tasks):
            row = found.get((pair["system"], pair["reference"], task))
            # A colour would say how alike they are, which guesses do not tell.
            if row and row["kappa"] is not None and _standing(row) != NOT_ABOVE:
                values[i, j] = row["kappa"]
    sns.heatmap(
        values,
        ax=axes,
        vmin=lowest,
        vmax=1,
        cmap=COLOURS,
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
                _kappa_cell(axes, (j, i), row, ink(shade))


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


def _standing(row: dict[str, Any]) -> str:
    """How a pair stands to chance: as the one of the two does of which least can be said."""
    return worst(standing_to_chance(row[f"{arm}_against_chance"]) for arm in ("system", "reference"))


def _kappa_cell(axes: "Axes", corner: tuple[int, int], row: dict[str, Any], color: str) -> None:
    x, y = corner[0] + 0.5, corner[1] + 0.5
    if row["kappa"] is None:
        _hatch(axes, corner)
        axes.text(x, y, UNDEFINED, ha="center", va="center", color="0.2", size=10, bbox=PLATE)
        return
    standing = _standing(row)
    plate = None
    if standing == NOT_ABOVE:
        _hatch(axes, corner)
        color, plate = "0.2", PLATE
    value = decimal(row["kappa"]) + {NOT_ABOVE: GUESSING, UNCLEAR: MARKS["unknown"]}.get(standing, "")
    axes.text(x, y - 0.08, value, ha="center", va="center", color=color, size=11, bbox=plate)
    if row["kappa_low"] is not None:
        ends = f"[{decimal(row['kappa_low'])}, {decimal(row['kappa_high'])}]"
        axes.text(x, y + 0.22, ends, ha="center", va="center", color=color, size=7, bbox=plate)


def _hatch(axes: "Axes", corner: tuple[int, int]) -> None:
    """A cell whose colour would say nothing."""
    from matplotlib.patches import Rectangle

    inset = 0.02
    place, side = (corner[0] + inset, corner[1] + inset), 1 - 2 * inset
    axes.add_patch(Rectangle(place, side, side, facecolor="0.97", hatch="////", edgecolor="0.75", linewidth=0))


AGREEMENT = Figure(
    name="agreement",
    table="agreement",
    section="agreement",
    caption=(
        "Cohen's κ of each pair on each task, clean speech, with its interval. Pairs of a speech LLM and a "
        "cascade first, then of two speech LLMs, then of two cascades, each by falling mean κ over the tasks that"
        " they share; “match” says whether the two text LLMs are the same. Hatched, ‡: at least one of the two is not"
        " above chance, so κ does not tell how alike they are; ∘ of at least one there are too few groups to tell."
        " n/a: κ is undefined; blank: not run."
    ),
    draw=agreement_heatmap,
    planned=lambda study: bool(study.config.pairs),
    has=lambda table: table.filter(condition=CLEAN).height > 0,
    paper=Counterpart(
        1,
        "κ of each speech LLM with a cascade, as a coloured table",
        ("agreement",),
        "an interval in each cell, by whole texts; open answers too; pairs of two cascades below",
    ),
)
