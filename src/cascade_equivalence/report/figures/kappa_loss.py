"""Disagreement with the own cascade against each measure of what is heard: small multiples, a panel a measure."""

from math import ceil
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.display import interval
from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.layer_axis import GREY
from cascade_equivalence.report.figures.looks import COLORS, MARKERS
from cascade_equivalence.report.kappa_loss_table import LOSS, MEASURES, planned
from cascade_equivalence.report.naming import in_order, short_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ACROSS = 3
"""Panels in a line."""
HIGHEST = 1.25


def kappa_loss_figure(table: pl.DataFrame) -> "Drawing":
    """1 minus kappa over each measure, a colour a speech LLM and a shape a task, with the least-squares line.

    Args:
        table: Tidy table of the losses, not empty.

    Returns:
        A figure; lines through a point are intervals, the slope with its interval stands under each panel.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt

    measures = table["measure"].unique(maintain_order=True).to_list()
    systems = table["system"].unique(maintain_order=True).to_list()
    tasks = in_order(table["task"].unique().to_list())
    across, down = min(ACROSS, len(measures)), ceil(len(measures) / ACROSS)
    figure = plt.figure(figsize=(max(5.6, 0.4 + 3.0 * across), 1.1 + 2.9 * down), layout="constrained")
    places = figure.subplots(down, across, squeeze=False, sharey=True).flat
    for axes, measure in zip(places, [*measures, *[None] * (down * across - len(measures))], strict=True):
        if measure is None:
            axes.set_visible(False)
            continue
        rows = table.filter(measure=measure).to_dicts()
        for row in rows:
            look = {"color": COLORS[systems.index(row["system"]) % len(COLORS)]}
            _point(axes, row, look | {"marker": MARKERS[tasks.index(row["task"]) % len(MARKERS)]})
        _line(axes, rows)
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=0.5)
        axes.set_ylim(min(-0.1, axes.get_ylim()[0]), max(HIGHEST, max(row["loss"] for row in rows) + 0.05))
        sns.despine(ax=axes)
    for line in range(down):
        figure.axes[line * across].set_ylabel(f"{LOSS} with the own cascade")
    _legend(figure, systems, tasks)
    return figure


def _point(axes: "Axes", row: dict[str, Any], look: dict[str, Any]) -> None:
    filled = {} if row["above_chance"] else {"markerfacecolor": "white"}
    axes.plot([row["value"]], [row["loss"]], linestyle="", markersize=6, zorder=3, **look | filled)
    if row["loss_low"] is not None:
        axes.vlines(row["value"], row["loss_low"], row["loss_high"], color=look["color"], linewidth=1, alpha=0.5)
    if row["value_low"] is not None:
        axes.hlines(row["loss"], row["value_low"], row["value_high"], color=look["color"], linewidth=0.8, alpha=0.3)


def _line(axes: "Axes", rows: list[dict[str, Any]]) -> None:
    """The least-squares line, and its slope in words below the axis."""
    first = rows[0]
    slope = first["slope"]
    said = (
        "no slope"
        if slope is None
        else f"slope {interval(*(first[f'slope{e}'] for e in ('', '_low', '_high')), signed=True)}"
    )
    axes.set_xlabel(f"{MEASURES[first['measure']].title}\n{said}")
    if slope is not None:
        told = [row for row in rows if row["loss_low"] is not None]
        middle = [sum(row[name] for row in told) / len(told) for name in ("value", "loss")]
        line = [min(row["value"] for row in told), max(row["value"] for row in told)]
        sure = first["slope_low"] > 0 or first["slope_high"] < 0
        heights = [middle[1] + slope * (at - middle[0]) for at in line]
        axes.plot(line, heights, color="0.35", linestyle="-" if sure else ":", zorder=1)


def _legend(figure: "Drawing", systems: list[str], tasks: list[str]) -> None:
    from matplotlib.lines import Line2D

    entries = [
        Line2D([], [], linestyle="", marker="o", markersize=6, color=COLORS[number % len(COLORS)], label=system)
        for number, system in enumerate(systems)
    ]
    entries += [
        Line2D(
            [],
            [],
            linestyle="",
            marker=MARKERS[number % len(MARKERS)],
            markersize=6,
            color="0.4",
            label=short_title(task),
        )
        for number, task in enumerate(tasks)
    ]
    figure.legend(handles=entries, loc="outside upper center", ncols=5, frameon=False)


KAPPA_LOSS = Figure(
    name="kappa_loss",
    table="kappa_loss",
    section="mechanism",
    caption=(
        "How far agreement with the own cascade lies below 1, against each measure of what is heard, over all speech "
        "LLMs (colours), tasks (shapes) and settings of a dial; hollow where the speech LLM is not shown to be above "
        "chance, so that both may guess. Upright and level lines are intervals; the sloping line is that of least "
        "squares, dotted where its slope is not shown to differ from 0."
    ),
    draw=kappa_loss_figure,
    planned=planned,
)
