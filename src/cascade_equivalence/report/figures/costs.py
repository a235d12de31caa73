"""Accuracy against cost, with the Pareto front."""

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.looks import COLORS, MARKERS
from cascade_equivalence.report.naming import HEARING, task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LEAST_SPAN = 4.0
"""Smallest ratio of the ends of the cost axis: below it a difference of nothing would fill the panel."""
MARGIN = 1.35
FRONT: dict[str, Any] = {
    "color": "0.1",
    "linewidth": 1.1,
    "linestyle": (0, (5, 2)),
    "zorder": 1,
    "label": "Pareto front",
}


def costs_figure(table: pl.DataFrame) -> "Drawing":
    """Accuracy against seconds an item (logarithmic), a panel a task, a marker a system, clean speech.

    Args:
        table: Tidy costs table with at least one known cost; systems whose cost is not known are left out.

    Returns:
        A figure. Systems differ in marker and filling: speech LLMs are large and filled, cascades smaller, those that
        nobody could run hollow. Upright lines are intervals, where the table has them; a step line is the front.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    known = _known(table)
    tasks = known["task"].unique(maintain_order=True).to_list()
    looks = _looks(known)
    columns = 2 if len(tasks) == 4 else min(3, len(tasks))  # noqa: PLR2004 - two rows of two, not three and one
    lines = math.ceil(len(tasks) / columns)
    across = 3 if columns > 1 else 2
    names = math.ceil((len(looks) + 1) / across)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(0.6 + max(2.9 * columns, 3.8), 0.8 + 2.4 * lines + 0.18 * names),
        squeeze=False,
        sharex=True,
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06),
    )
    for axes, task in zip(grid.flat, tasks, strict=False):
        part = known.filter(task=task)
        _front(axes, part.filter("on_front"))
        for system, look in looks.items():
            _point(axes, part.filter(system=system), look)
        axes.set_title(task_title(task))
        axes.margins(y=0.1)  # no marker on an edge
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.grid(color="0.92", linewidth=0.8)
        sns.despine(ax=axes)
    for axes in list(grid.flat)[len(tasks) :]:
        axes.set_visible(False)
    first = grid.flat[0]
    first.set_xscale("log")
    first.set_xlim(*_ends(known["seconds_per_item"].to_list()))
    first.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if _decades(first) < 2 else (1,)))  # noqa: PLR2004
    first.xaxis.set_minor_locator(NullLocator())
    first.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axes in list(grid.flat)[: len(tasks)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("Seconds an item (share of its batch; logarithmic)", size=9)
    figure.supylabel("Accuracy (%)", size=9)
    handles = {
        label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    order = [name for name in (*looks, FRONT["label"]) if name in handles]
    figure.legend(
        [handles[name] for name in order],
        order,
        loc="outside upper center",
        ncols=min(across, len(order)),
        frameon=False,
    )
    return figure


def _known(table: pl.DataFrame) -> pl.DataFrame:
    """What was measured on clean speech."""
    return table.filter(pl.col("seconds_per_item") > 0, condition=CLEAN)


def _looks(table: pl.DataFrame) -> dict[str, dict[str, Any]]:
    looks = {}
    for i, (system, kind, hears) in enumerate(
        table.select("system", "kind", "hears").unique(maintain_order=True).rows()
    ):
        color = COLORS[i % len(COLORS)]
        looks[system] = {
            "label": system,
            "color": color,
            # Beyond the colours, the same colour has another marker.
            "marker": MARKERS[(i + i // len(COLORS)) % len(MARKERS)],
            "markersize": 8.5 if kind in HEARING else 6.5,
            "markerfacecolor": color if hears else "white",
            "markeredgecolor": "0.1" if kind in HEARING else color,
            "markeredgewidth": 1.2,
            "linestyle": "",
        }
    return looks


def _point(axes: "Axes", rows: pl.DataFrame, look: dict[str, Any]) -> None:
    if not rows.height:
        return
    row = rows.row(0, named=True)
    if row["accuracy_low"] is not None:
        ends = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
        axes.vlines(row["seconds_per_item"], *ends, color=look["color"], linewidth=0.9, alpha=0.6, zorder=1.5)
    axes.plot(row["seconds_per_item"], 100 * row["accuracy"], zorder=3, **look)


def _front(axes: "Axes", rows: pl.DataFrame) -> None:
    """The best accuracy that each cost buys, as a step line."""
    rows = rows.sort("seconds_per_item", "accuracy")
    costs, accuracies = rows["seconds_per_item"].to_list(), [100 * value for value in rows["accuracy"]]
    if costs:
        # On to the edge of the panel: paying more buys at least as much.
        far = 10 * max(costs)
        axes.step([*costs, far], [*accuracies, accuracies[-1]], where="post", **FRONT)


def _ends(costs: list[float]) -> tuple[float, float]:
    low, high = min(costs) / MARGIN, max(costs) * MARGIN
    wider = math.sqrt(max(1.0, LEAST_SPAN / (high / low)))
    return low / wider, high * wider


def _decades(axes: "Axes") -> float:
    low, high = axes.get_xlim()
    return math.log10(high / low)


COSTS = Figure(
    name="costs",
    table="costs",
    section="costs",
    caption=(
        "Accuracy against seconds an item, clean speech: up and to the left is better. The step line is the "
        "Pareto front. Large markers are speech LLMs; hollow ones read the true text, which nobody has. Upright "
        "lines are intervals."
    ),
    draw=costs_figure,
    has=lambda table: _known(table).height > 0,
)
