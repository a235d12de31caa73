"""Agreement with the own cascade against what the voice tells beyond the words: a point a speech LLM and task."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.layer_axis import GREY
from cascade_equivalence.report.figures.looks import COLORS, DASHES, MARKERS
from cascade_equivalence.report.gradient_table import planned
from cascade_equivalence.report.naming import short_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ASIDE = 0.008
"""How far points of two speech LLMs on one task stand apart, as a share of the axis."""


def gradient_figure(table: pl.DataFrame) -> "Drawing":
    """Kappa over the share of the label that only the voice tells, a colour a speech LLM, with its least-squares line.

    Args:
        table: Tidy gradient table, not empty.

    Returns:
        A figure; lines through a point are intervals.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.6, 3.9), layout="constrained")
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=0.5)
    for number, ((system, reference), part) in enumerate(table.group_by("system", "reference", maintain_order=True)):
        color = COLORS[number % len(COLORS)]
        look = {"color": color, "marker": MARKERS[number % len(MARKERS)], "label": f"{system} and {reference}"}
        _pair(axes, part.sort("surplus_share"), look, number * ASIDE, DASHES[number % len(DASHES)])
    for task, part in table.group_by("task", maintain_order=True):
        highest = part["kappa_high"].fill_null(part["kappa"]).max()
        place = (part["surplus_share"].mean(), highest)
        axes.annotate(
            short_title(str(task[0])), place, (0, 4), textcoords="offset points", ha="center", size=8, color="0.25"
        )
    axes.set_xlabel("Told by the voice alone (share of the label)")
    axes.set_ylabel("κ with the own cascade")
    axes.set_ylim(min(-0.2, axes.get_ylim()[0]), 1.12)
    sns.despine(ax=axes)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def _pair(axes: "Axes", rows: pl.DataFrame, look: dict[str, Any], aside: float, dash: Any) -> None:
    there = rows.to_dicts()
    x = [row["surplus_share"] + aside for row in there]
    axes.plot([], [], linestyle="", markersize=6, **look)
    for at, row in zip(x, there, strict=True):
        filled = {} if row["above_chance"] else {"markerfacecolor": "white"}
        axes.plot([at], [row["kappa"]], linestyle="", markersize=6, zorder=3, **look | filled | {"label": None})
    for at, row in zip(x, there, strict=True):
        if row["kappa_low"] is not None:
            axes.vlines(at, row["kappa_low"], row["kappa_high"], color=look["color"], linewidth=1, alpha=0.6)
        if row["surplus_share_low"] is not None:
            ends = (row["surplus_share_low"], row["surplus_share_high"])
            axes.hlines(row["kappa"], *ends, color=look["color"], linewidth=0.8, alpha=0.35)
    slope = there[0]["slope"]
    if slope is not None:
        told = [row for row in there if row["kappa_low"] is not None]
        middle = [sum(row[name] for row in told) / len(told) for name in ("surplus_share", "kappa")]
        line = [told[0]["surplus_share"], told[-1]["surplus_share"]]
        axes.plot(line, [middle[1] + slope * (at - middle[0]) for at in line], color=look["color"], linestyle=dash)


GRADIENT = Figure(
    name="gradient",
    table="gradient",
    section="agreement",
    caption=(
        "Agreement of each speech LLM with the cascade that has its LLM, against what only the voice tells of the "
        "label, task by task; hollow where the speech LLM is not shown to be above chance, so that both may guess. "
        "Upright and level lines are intervals; a sloping line is that of least squares."
    ),
    draw=gradient_figure,
    planned=planned,
)
