"""Accuracy against noise as lines (paper's Figure 3)."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.display import MINUS
from cascade_equivalence.report.naming import HEARING, task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "os^DvPX<>*"
COLORS = ["#0b5cad", "#c44e00", "#00805e", "#7b3294", "#7a4a12", "#5c5c5c", "#1f9aa0", "#b03060", "#8a8000", "#3a3a8c"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
SPREAD = 0.22  # share of the smallest step between levels over which the systems stand side by side


def noise_curves(table: pl.DataFrame) -> "Figure":
    """Accuracy against signal-to-noise ratio, one panel a task, one line a system (paper's Figure 3).

    Args:
        table: Tidy noise table.

    Returns:
        A figure; clean speech stands apart at the left, bars are the intervals, a dotted line is chance. Speech LLMs
        have thick solid lines and filled markers.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    tasks = table["task"].unique(maintain_order=True).to_list()
    looks = _looks(table)
    columns = 2 if len(tasks) == 4 else min(3, len(tasks))  # noqa: PLR2004 - two rows of two, not three and one
    lines = math.ceil(len(tasks) / columns)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(0.6 + 2.9 * columns, 0.7 + 2.5 * lines + 0.16 * math.ceil(len(looks) / 3)),
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.1),
    )
    levels = sorted({level for level in table["snr_db"] if level is not None}, reverse=True)
    steps = [high - low for high, low in pairwise(levels)]
    clean = levels[0] + (max(steps) if steps else 5)
    spread = SPREAD * min([*steps, clean - levels[0]])
    for axes, task in zip(grid.flat, tasks, strict=False):
        part = table.filter(pl.col("task") == task)
        for i, (system, look) in enumerate(looks.items()):
            # Side by side, so that intervals of one level do not hide each other; the axis runs from right to left.
            aside = spread * (0.5 - i / (len(looks) - 1)) if len(looks) > 1 else 0.0
            _noise_line(axes, part.filter(pl.col("system") == system), clean, aside, look)
        _chance(axes, part["chance"][0])
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
    figure.legend(handles, names, loc="outside upper center", ncols=min(3, len(looks)), frameon=False, handlelength=3.6)
    return figure


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


def _noise_line(axes: "Axes", rows: pl.DataFrame, clean: float, aside: float, look: dict[str, Any]) -> None:
    rows = rows.with_columns(x=pl.col("snr_db").fill_null(clean) + aside).sort("x", descending=True)
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
