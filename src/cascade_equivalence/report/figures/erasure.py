"""Accuracy while a concept is erased, as dots on the spread of the concept's own controls (paper's Figure 6)."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.mechanism import AFFINE, BASELINE, DRAWN, LINEAR
from cascade_equivalence.report.figures.figure import Counterpart, Figure
from cascade_equivalence.report.figures.layer_axis import GREY, legend, parts
from cascade_equivalence.report.figures.looks import COLORS
from cascade_equivalence.report.mechanism_names import DRAW, HEARD, READ, concept_title, concepts_of
from cascade_equivalence.report.naming import task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ROW_INCHES = 0.36
LEGEND_INCHES = 7.0  # two columns of names
DOTS: dict[tuple[str, str], dict[str, Any]] = {
    (HEARD, LINEAR): {"label": "Linear, from audio", "color": COLORS[0], "marker": "o", "markersize": 5.5},
    (HEARD, AFFINE): {
        "label": "Affine, from audio",
        "color": COLORS[0],
        "marker": "o",
        "markersize": 5.5,
        "markerfacecolor": "white",
    },
    (READ, LINEAR): {"label": "Linear, from text", "color": COLORS[1], "marker": "^", "markersize": 5},
}
ASIDE = {(HEARD, LINEAR): -0.24, (HEARD, AFFINE): 0.0, (READ, LINEAR): 0.24}
LINES: dict[str, dict[str, Any]] = {
    HEARD: {"label": "Nothing erased, from audio", "color": "0.15", "linewidth": 1.1},
    READ: {"label": "Nothing erased, from text", "color": COLORS[1], "linewidth": 1.1, "linestyle": "--"},
}
CHANCE: dict[str, Any] = {"label": "Chance", "color": GREY, "linewidth": 1.1, "linestyle": (0, (1, 1.6))}
BANDS: dict[str, dict[str, Any]] = {
    "random": {"label": "Span of random draws of its rank", "facecolor": "0.87", "edgecolor": "none"},
    "principal": {
        "label": "The same, with as much variance",
        "facecolor": "none",
        "edgecolor": "0.35",
        "linewidth": 0.9,
    },
}
STROKES: dict[str, dict[str, Any]] = {
    "random": {"label": "Random draws of its rank", "color": "0.72", "linewidth": 2.6},
    "principal": {"label": "Draws with as much variance", "color": "0.35", "linewidth": 1.1, "linestyle": (0, (2, 1))},
}
"""Draws one by one, where they are too few to have a spread."""
FEWEST_IN_BOX = 5
BAND_HEIGHT = {"random": 0.84, "principal": 0.62}
"""Heights of the boxes and strokes, of a line."""
LEAST = 0.4
"""Points by which a box reaches beyond its draws; a span of nothing would not be seen."""


def erasure_figure(table: pl.DataFrame) -> "Drawing":
    """Accuracy under each erasure, a strip a model and a panel a task.

    Args:
        table: Tidy erasure table.

    Returns:
        A figure; level lines are intervals, boxes the spans of the draws of a concept's controls.
    """
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from cascade_equivalence.report.erasure_tables import shown_positions, with_draws_pooled

    place = shown_positions(table)
    pooled = with_draws_pooled(table).filter((pl.col("positions") == place) | (pl.col("concept") == BASELINE))
    models = table["model"].unique(maintain_order=True).to_list()
    tasks = table["task"].unique(maintain_order=True).to_list()
    concepts = [name for name in pooled["concept"].unique(maintain_order=True) if name != BASELINE]
    figure = plt.figure(
        figsize=(max(LEGEND_INCHES, 2.0 + 2.0 * len(tasks)), 1.0 + (1.05 + ROW_INCHES * len(concepts)) * len(models)),
        layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06),
    )
    drawn: list[Axes] = []
    for strip, model in zip(parts(figure, models), models, strict=True):
        grid = strip.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for axes, task in zip(grid, tasks, strict=True):
            of_panel = pl.col("model").eq(model) & pl.col("task").eq(task)
            _panel(axes, pooled.filter(of_panel), table.filter(of_panel), concepts)
            axes.set_title(task_title(task))
            drawn.append(axes)
        grid[0].set_yticks(range(len(concepts)), [concept_title(concept) for concept in concepts])
        for label, concept in zip(grid[0].get_yticklabels(), concepts, strict=True):
            if concept in concepts_of("control"):
                label.set(style="italic", color=GREY)
        strip.supxlabel("Accuracy (%)", size=9)
    looks = (*DOTS.values(), *BANDS.values(), *STROKES.values(), CHANCE, *LINES.values())
    legend(figure, drawn, looks, 3 if len(tasks) > 2 else 2)  # noqa: PLR2004 - as wide as the panels
    return figure


def _panel(axes: "Axes", rows: pl.DataFrame, single: pl.DataFrame, concepts: list[str]) -> None:
    import seaborn as sns

    _levels(axes, rows)
    for line, concept in enumerate(concepts):
        for row in rows.filter(concept=concept).iter_rows(named=True):
            key = row["arm"], row["variant"]
            if row["variant"] in DRAWN and row["draws"] < FEWEST_IN_BOX:
                _strokes(axes, row, single, line)
            elif row["variant"] in DRAWN:
                _span(axes, row, line)
            elif key in DOTS and row["accuracy"] is not None:
                y, look = line + ASIDE[key], DOTS[key]
                if row["accuracy_low"] is not None:
                    ends = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
                    axes.hlines(y, *ends, color=look["color"], linewidth=0.9, alpha=0.7, zorder=2)
                axes.plot([100 * row["accuracy"]], [y], linestyle="", zorder=3, **look)
    axes.set_xlim(-4, 104)
    axes.set_ylim(len(concepts) - 0.45, -0.55)
    axes.set_xticks([0, 50, 100])
    axes.set_xticks([25, 75], minor=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.93", linewidth=0.8)
    sns.despine(ax=axes, left=True)


def _levels(axes: "Axes", rows: pl.DataFrame) -> None:
    """What the dots are seen against: nothing erased, chance."""
    for arm, look in LINES.items():
        for row in rows.filter(arm=arm, concept=BASELINE).iter_rows(named=True):
            axes.axvline(100 * row["accuracy"], zorder=1, **look)
    chance = rows["chance"].drop_nulls()
    if len(chance):
        axes.axvline(100 * chance[0], zorder=1, **CHANCE)


def _span(axes: "Axes", row: dict[str, Any], line: int) -> None:
    """The box of a control's draws, on the concept's line."""
    from matplotlib.patches import Rectangle

    low, high = 100 * row["lowest"] - LEAST, 100 * row["highest"] + LEAST
    height = BAND_HEIGHT[row["variant"]]
    zorder = 0.5 + DRAWN.index(row["variant"]) / 10
    axes.add_patch(Rectangle((low, line - height / 2), high - low, height, zorder=zorder, **BANDS[row["variant"]]))


def _strokes(axes: "Axes", row: dict[str, Any], single: pl.DataFrame, line: int) -> None:
    """A control's draws one by one, on the concept's line: a box around two would look like a distribution."""
    control, half = row["variant"], BAND_HEIGHT[row["variant"]] / 2
    of_control = pl.col("variant").str.replace(DRAW, "${1}") == control
    place = {name: row[name] for name in ("concept", "arm", "positions")}
    drawn = single.filter(of_control, **place)["accuracy"].drop_nulls().to_numpy()
    zorder = 0.5 + DRAWN.index(control) / 10
    axes.vlines(100 * drawn, line - half, line + half, zorder=zorder, **STROKES[control])


ERASURE = Figure(
    name="erasure",
    table="erasure",
    section="erasure",
    caption=(
        "Accuracy while a concept is erased from all watched layers. Filled dots: linear erasure, as in the "
        "paper; open dots: affine erasure, which keeps the mean; triangles: the same eraser while the model reads"
        " the true text (linear; affine from text is in the table). The boxes are each concept's own controls, from "
        "audio: from the lowest to the highest of the draws of random directions, as many as its eraser takes away "
        f"(grey), and of those that carry as much variance (outlined); fewer than {FEWEST_IN_BOX} draws are strokes, "
        "one each. Names in italics are controls themselves. Level lines are intervals."
    ),
    draw=erasure_figure,
    planned=lambda study: bool(study.mechanism_files["erasure"]),
    paper=Counterpart(
        6,
        "accuracy under concept erasure",
        ("erasure", "erasure_controls"),
        "affine erasure, the same erasers while the model reads, the span of random draws",
    ),
)
