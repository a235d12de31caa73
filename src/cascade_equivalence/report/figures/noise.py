"""Accuracy against noise as lines (paper's Figure 3)."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN, NOISE_KINDS, families, parse_condition
from cascade_equivalence.report.display import MINUS
from cascade_equivalence.report.figures.figure import Counterpart, Figure
from cascade_equivalence.report.figures.looks import COLORS, DASHES, MARKERS
from cascade_equivalence.report.naming import HEARING, task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

SPREAD = 0.22  # share of the smallest step between levels over which the systems stand side by side


def noise_curves(table: pl.DataFrame) -> "Drawing":
    """Accuracy against the level of noise, one panel a task and kind of noise, one line a system (paper's Figure 3).

    Args:
        table: Tidy noise table.

    Returns:
        A figure; clean speech stands apart at the left, bars are the intervals, a dotted line is chance. Speech LLMs
        have thick solid lines and filled markers. Several kinds of noise have a row each, and a panel a task in it.
    """
    import numpy as np
    import seaborn as sns
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    looks = _looks(table)
    kinds = families(table["condition"])
    panels = [(kind, task) for kind, names in kinds.items() for task in _tasks(table, names)]
    tasks = list(dict.fromkeys(task for _, task in panels))
    if several := len(kinds) > 1:
        columns, places = (
            len(tasks),
            {(kind, task): (list(kinds).index(kind), tasks.index(task)) for kind, task in panels},
        )
    else:
        columns = 2 if len(tasks) == 4 else min(3, len(tasks))  # noqa: PLR2004 - two rows of two, not three and one
        places = {panel: divmod(place, columns) for place, panel in enumerate(panels)}
    lines = 1 + max(line for line, _ in places.values())
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(0.6 + 2.9 * columns, 0.7 + 2.5 * lines + 0.16 * math.ceil(len(looks) / 3)),
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.1),
    )
    for (kind, task), place in places.items():
        axes = grid[place]
        part = table.filter(pl.col("task") == task, pl.col("condition").is_in([CLEAN, *kinds[kind]]))
        _panel(axes, part, kinds[kind], NOISE_KINDS[kind].scale.apart, looks)
        axes.set_title(task_title(task))
        axes.set_xlabel(NOISE_KINDS[kind].axis_label if several else "", size=9)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        sns.despine(ax=axes)
    drawn = set(places.values())
    for place in np.ndindex(grid.shape):
        grid[place].set_visible(place in drawn)
    if not several:
        figure.supxlabel(NOISE_KINDS[next(iter(kinds))].axis_label_alone, size=9)
    figure.supylabel("Accuracy (%)", size=9)
    handles, names = grid[next(iter(places.values()))].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(3, len(looks)), frameon=False, handlelength=3.6)
    return figure


def _tasks(table: pl.DataFrame, conditions: Sequence[str]) -> list[str]:
    return table.filter(pl.col("condition").is_in(conditions))["task"].unique(maintain_order=True).to_list()


def _panel(
    axes: "Axes", table: pl.DataFrame, conditions: Sequence[str], apart: float, looks: dict[str, dict[str, Any]]
) -> None:
    """One task in one kind of noise; what is harder to hear stands further to the right, clean speech apart."""
    hardness = {name: parse_condition(name).severity for name in conditions}
    levels = list(hardness.values())
    steps = [after - before for before, after in pairwise(levels)]
    clean = levels[0] - (max(steps) if steps else apart)
    spread = SPREAD * min([*steps, levels[0] - clean])
    rows = table.with_columns(x=pl.col("condition").replace_strict(hardness | {CLEAN: clean}, return_dtype=pl.Float64))
    for i, (system, look) in enumerate(looks.items()):
        # Side by side, so that intervals of one level do not hide each other.
        aside = spread * (i / (len(looks) - 1) - 0.5) if len(looks) > 1 else 0.0
        _noise_line(axes, rows.filter(pl.col("system") == system).with_columns(pl.col("x") + aside), look)
    _chance(axes, table["chance"][0])
    ticks = [f"{parse_condition(name).level:g}".replace("-", MINUS) for name in conditions]
    axes.set_xticks([clean, *levels], ["clean", *ticks])


def _looks(table: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """How each system is drawn: told apart by dashes, marker and its filling, whatever becomes of the colour."""
    systems = list(table.select("system", "kind").unique(maintain_order=True).iter_rows())
    speech = any(kind in HEARING for _, kind in systems)
    looks: dict[str, dict[str, Any]] = {}
    cascades = 0
    for i, (system, kind) in enumerate(systems):
        color = COLORS[i % len(COLORS)]
        common = {"label": system, "color": color, "marker": MARKERS[i % len(MARKERS)], "markeredgewidth": 1.0}
        if kind in HEARING:
            own = {"color": "0.1" if i == 0 else color, "linestyle": "-", "linewidth": 2.2, "markersize": 6}
        else:
            dashes = DASHES[1:] if speech else DASHES
            own = {"linestyle": dashes[cascades % len(dashes)], "linewidth": 1.4, "markersize": 5}
            own["markerfacecolor"] = "white" if cascades % 2 else color
            cascades += 1
        looks[system] = common | own
    return looks


def _noise_line(axes: "Axes", rows: pl.DataFrame, look: dict[str, Any]) -> None:
    rows = rows.sort("x")
    x = rows["x"].to_numpy()
    accuracy, low, high = (100 * rows[name].to_numpy() for name in ("accuracy", "accuracy_low", "accuracy_high"))
    axes.vlines(x, low, high, color=look["color"], linewidth=0.9, alpha=0.55, zorder=1.5)
    axes.plot(x, accuracy, **look)


def _chance(axes: "Axes", chance: float | None) -> None:
    if chance is None:
        return
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


NOISE = Figure(
    name="noise",
    table="noise",
    section="noise",
    caption=(
        "Accuracy against the signal-to-noise ratio of babble (and, where they were run, of music and stationary "
        "noise, and against the reverberation time of rooms: a row a kind of noise), on the voices that are heard"
        " in noise. Upright lines are intervals; systems stand side by side at each level. The dotted line is "
        "chance."
    ),
    draw=noise_curves,
    planned=lambda study: bool(study.config.noise.conditions()),
    paper=Counterpart(
        3,
        "accuracy against signal-to-noise ratio",
        ("noise",),
        "intervals, and the level of chance",
    ),
)
