"""How far answers follow states that were heard and states that were read, layer by layer, as lines."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.layer_axis import GREY, curve, label_layers, legend, parts
from cascade_equivalence.report.figures.looks import COLORS
from cascade_equivalence.report.naming import task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LOOKS: dict[tuple[str, str], dict[str, Any]] = {
    ("behind", "heard"): {"label": "Heard, all behind the speech", "color": COLORS[0], "marker": "o", "linestyle": "-"},
    ("behind", "read"): {"label": "Read, all behind the speech", "color": COLORS[1], "marker": "^", "linestyle": "-"},
    ("last", "heard"): {"label": "Heard, last token", "color": COLORS[0], "marker": "o", "linestyle": "--"},
    ("last", "read"): {"label": "Read, last token", "color": COLORS[1], "marker": "^", "linestyle": "--"},
    ("words", "heard"): {"label": "Heard, at all words", "color": COLORS[0], "marker": "s", "linestyle": ":"},
    ("words", "read"): {"label": "Read, at all words", "color": COLORS[1], "marker": "v", "linestyle": ":"},
}
"""Halves of the words, and words in reverse, are in the table alone."""
ASIDE = {"heard": -0.12, "read": 0.12}
LOWEST, HIGHEST = -0.25, 1.25


def patching_figure(table: pl.DataFrame) -> "Drawing":
    """The share of the answer that states carry over, a strip a model and a panel a task.

    Args:
        table: Tidy patching table.

    Returns:
        A figure; upright lines are intervals.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt

    table = table.drop_nulls("layer")
    models = table["model"].unique(maintain_order=True).to_list()
    tasks = table["task"].unique(maintain_order=True).to_list()
    figure = plt.figure(figsize=(1.4 + 3.4 * len(tasks), 0.9 + 2.7 * len(models)), layout="constrained")
    drawn: list[Axes] = []
    for strip, model in zip(parts(figure, models), models, strict=True):
        panels = strip.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
        for axes, task in zip(panels, tasks, strict=True):
            mine = table.filter(model=model, task=task)
            axes.set_title(task_title(task))
            axes.set_xlabel("Layer")
            axes.set_ylim(LOWEST, HIGHEST)
            for level in (0, 1):
                axes.axhline(level, color=GREY, linewidth=0.8, zorder=0.5)
            for (positions, name), look in LOOKS.items():
                own = mine.filter(positions=positions)
                curve(axes, own, name, look | {"linewidth": 1.5, "markersize": 4.5}, ASIDE[name])
            if mine[["heard", "read"]].null_count().row(0) == (mine.height, mine.height):
                axes.text(0.5, 0.5, "cannot be told", transform=axes.transAxes, ha="center", va="center", color=GREY)
            if mine.height:
                label_layers(axes, mine["layer"].unique().sort().to_list())
            sns.despine(ax=axes)
            drawn.append(axes)
        panels[0].set_ylabel("Share of the answer")
    there = {places for (places,) in table.select("positions").unique().rows()}
    legend(figure, drawn, [look for (positions, _), look in LOOKS.items() if positions in there], 2)
    return figure


PATCHING = Figure(
    name="patching",
    table="patching",
    section="patching",
    caption=(
        "States of one item, heard or read, are put at one layer into the run of another item that is read, behind the "
        "speech or at the words: the share of the log-odds between their labels that the answer follows (0: it stays, "
        "1: it becomes the other's). Upright lines are intervals; a triangle at the lower edge marks what goes on "
        "below it."
    ),
    draw=patching_figure,
    planned=lambda study: bool(study.mechanism_files["patching"]),
    has=lambda table: bool(table["positions"].is_in([positions for positions, _ in LOOKS]).any()),
)
