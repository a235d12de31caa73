"""How often two systems that are both wrong give the same wrong answer, as dots (paper's Figure 2)."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.report.display import UNDEFINED
from cascade_equivalence.report.figures.figure import Counterpart, Figure
from cascade_equivalence.report.figures.layer_axis import GREY, legend
from cascade_equivalence.report.figures.looks import COLORS
from cascade_equivalence.report.naming import HEARING, task_title
from cascade_equivalence.report.shown import PlannedStudy
from cascade_equivalence.vocabulary import BINARY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ROW_INCHES = 0.34
EXACT = "exact"
DAGGER = " †"
DOTS: dict[str, dict[str, Any]] = {
    EXACT: {"label": f"Same LLM inside{DAGGER}", "color": COLORS[0], "marker": "o", "markersize": 6.5},
    "family": {
        "label": "LLMs of one kind and shape",
        "color": COLORS[2],
        "marker": "s",
        "markersize": 5.5,
        "markerfacecolor": "0.8",
    },
    "none": {
        "label": "Different LLMs inside",
        "color": COLORS[1],
        "marker": "^",
        "markersize": 6,
        "markerfacecolor": "white",
    },
    "unknown": {
        "label": "An LLM that nobody can open",
        "color": COLORS[5],
        "marker": "D",
        "markersize": 5.5,
        "markerfacecolor": "0.55",
    },
}
EVEN: dict[str, Any] = {
    "label": "Chance: all wrong labels equally likely",
    "color": GREY,
    "linewidth": 1.2,
    "linestyle": "--",
}
OWN: dict[str, Any] = {
    "label": "Chance: each system's own favourite errors",
    "color": "0.15",
    "marker": "|",
    "markersize": 10,
    "markeredgewidth": 1.8,
    "linestyle": "",
}


def informative(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of an agreement table that the figure shows: clean speech, more than two labels."""
    return table.filter((pl.col("condition") == CLEAN) & pl.col("overlap_informative"))


def overlap_figure(table: pl.DataFrame) -> "Drawing":
    """P(same wrong answer | both wrong), a panel a task and a row a pair: speech LLMs first, then by falling mean.

    Args:
        table: Tidy agreement table with at least one row that is ``informative``.

    Returns:
        A figure; level lines are score intervals by groups. A pair that has no item wrong in both says ``n/a``, a task
        it was not run on is blank; open answers have no even chance.
    """
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    speech = pl.col("system_kind").is_in(HEARING) | pl.col("reference_kind").is_in(HEARING)
    shown = informative(table).with_columns(speech=speech)
    tasks = shown["task"].unique(maintain_order=True).to_list()
    pairs = (
        shown.group_by("system", "reference", maintain_order=True)
        .agg(pl.first("match", "speech"), pl.mean("overlap"))
        .sort("speech", "overlap", descending=True, nulls_last=True, maintain_order=True)
    )
    figure, grid = plt.subplots(
        1,
        len(tasks),
        figsize=(max(7.0, 2.6 + 1.9 * len(tasks)), 1.5 + ROW_INCHES * pairs.height),
        sharey=True,
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06),
    )
    panels = list(grid.flat)
    for axes, task in zip(panels, tasks, strict=True):
        _panel(axes, shown.filter(task=task), pairs)
        axes.set_title(task_title(task))
    names = [
        f"{row['system']} vs. {row['reference']}{DAGGER if row['match'] == EXACT else ''}"
        for row in pairs.iter_rows(named=True)
    ]
    panels[0].set_yticks(range(pairs.height), names)
    figure.supxlabel("Same wrong answer, of the clips both got wrong (%)", size=9)
    legend(figure, panels, (*DOTS.values(), EVEN, OWN), 3 if len(tasks) > 2 else 2)  # noqa: PLR2004 - as wide as the panels
    return figure


def _panel(axes: "Axes", rows: pl.DataFrame, pairs: pl.DataFrame) -> None:
    import seaborn as sns

    found = {(row["system"], row["reference"]): row for row in rows.iter_rows(named=True)}
    for y, pair in enumerate(pairs.select("system", "reference").iter_rows()):
        if row := found.get(pair):
            _dot(axes, y, row)
    even = rows["overlap_chance"].drop_nulls()
    if len(even):
        axes.axvline(100 * even[0], zorder=1, **EVEN)
    cascades = pairs["speech"].not_().arg_true()
    if len(cascades) and cascades[0]:
        axes.axhline(cascades[0] - 0.5, color="0.75", linewidth=0.8)
    axes.set_xlim(-4, 104)
    axes.set_ylim(pairs.height - 0.45, -0.55)
    axes.set_xticks([0, 50, 100])
    axes.set_xticks([25, 75], minor=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.93", linewidth=0.8)
    sns.despine(ax=axes, left=True)


def _dot(axes: "Axes", y: int, row: dict[str, Any]) -> None:
    if row["overlap"] is None:
        axes.text(50, y, UNDEFINED, ha="center", va="center", size=8, color=GREY)
        return
    look = DOTS[row["match"]]
    if row["overlap_chance_empirical"] is not None:
        axes.plot([100 * row["overlap_chance_empirical"]], [y], zorder=2, **OWN)
    if row["overlap_low"] is not None:
        ends = 100 * row["overlap_low"], 100 * row["overlap_high"]
        axes.hlines(y, *ends, color=look["color"], linewidth=1.3, zorder=2)
    axes.plot([100 * row["overlap"]], [y], linestyle="", zorder=3, **look)


def _planned(study: PlannedStudy) -> bool:
    """Whether the same wrong answer means something in some task: not where there are two labels."""
    return bool(study.config.pairs) and any(len(TASKS[task].labels) != BINARY for task in study.config.tasks)


OVERLAP = Figure(
    name="overlap",
    table="agreement",
    section="errors",
    caption=(
        "Of the clips that both systems of a pair got wrong, the share on which both gave the same wrong answer, "
        "clean speech, tasks with more than two labels. Dashed line: chance, if all wrong labels are equally "
        "likely; upright marks: chance, if each system keeps its own favourite errors. Level lines are score "
        "intervals by texts."
    ),
    draw=overlap_figure,
    planned=_planned,
    has=lambda table: informative(table).height > 0,
    paper=Counterpart(
        2,
        "share of joint errors with the same wrong answer, and even chance",
        ("agreement", "errors"),
        "intervals; a second chance level, from each system's favourite errors; pairs of two cascades below",
    ),
)
