"""What the measures say of one adapter at several scales, as small panels over the scale."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.dial import dials
from cascade_equivalence.report.dial_table import (
    ACCURACY,
    FALL,
    KAPPA,
    OWN_ACCURACY,
    PROBE,
    SECTION,
    SURPLUS,
)
from cascade_equivalence.report.display import decimal
from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.layer_axis import legend
from cascade_equivalence.report.figures.looks import COLORS, DASHES, MARKERS
from cascade_equivalence.report.mechanism_names import PROBE_TITLES, concept_title
from cascade_equivalence.report.naming import task_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from matplotlib.figure import SubFigure

SYSTEM: dict[str, Any] = {"label": "Speech LLM", "color": COLORS[0], "marker": "o", "linestyle": "-"}
AGREES: dict[str, Any] = {"label": "κ with its own cascade", "color": COLORS[2], "marker": "D", "linestyle": "-"}
OWN: dict[str, Any] = {
    "label": "Its own cascade",
    "color": COLORS[1],
    "marker": "s",
    "linestyle": "--",
    "markerfacecolor": "white",
}
CONTROL: dict[str, Any] = {
    "label": "Chance, or control",
    "color": "0.35",
    "marker": "",
    "linestyle": (0, (1, 1.6)),
    "linewidth": 1.2,
}
ORDERED = (SYSTEM, AGREES, OWN)
WIDTH, HEIGHT = 2.3, 1.95
LEAST = 6.4
"""Inches that the names above the panels take."""
INSIDE = (3, 4, 7, 9)
"""Places in ``COLORS`` of what is told apart inside a panel: dark enough on white, and no greys, which are controls."""
Panel = tuple[str, Callable[["Axes"], None]]


def dial_figure(table: pl.DataFrame) -> "Drawing":
    """The curve of each adapter over its scales, a strip an adapter.

    Args:
        table: Tidy dial table.

    Returns:
        A figure: agreement with the own-weights cascade and accuracies, a column a task; below them what probes read
        and the falls under erasure. What was not measured has no panel. Upright lines are intervals.
    """
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    adapters = table["adapter"].unique(maintain_order=True).to_list()
    grids = [_grid(table.filter(adapter=adapter)) for adapter in adapters]
    across = max(len(line) for grid in grids for line in grid)
    down = [len(grid) for grid in grids]
    figure = plt.figure(
        figsize=(max(LEAST, 0.5 + WIDTH * across), 0.75 + HEIGHT * sum(down) + 0.3 * len(grids)),
        layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06),
    )
    strips = figure.subfigures(len(grids), 1, squeeze=False, height_ratios=down)
    drawn: list[Axes] = []
    for strip, adapter, grid in zip(strips.flat, adapters, grids, strict=True):
        if len(adapters) > 1:
            strip.suptitle(adapter, x=0.01, ha="left", size=10, weight="bold")
        strip.supxlabel("Scale: how much of the adapter's change is made", size=9)
        drawn += _draw(strip, grid, across, table.filter(adapter=adapter)["scale"].drop_nulls().unique().sort())
    looks = [*ORDERED, *(look | {"label": name} for name, look in _inside_looks(table).items()), CONTROL]
    legend(figure, drawn, looks, 3)
    return figure


def _draw(strip: "SubFigure", grid: list[list[Panel]], across: int, scales: pl.Series) -> "list[Axes]":
    import seaborn as sns

    places = strip.subplots(len(grid), across, squeeze=False)
    drawn = []
    for line, panels in enumerate(grid):
        for column in range(across):
            axes = places[line, column]
            if column >= len(panels):
                axes.set_visible(False)
                continue
            title, draw = panels[column]
            draw(axes)
            axes.set_title(title, size=9)
            axes.set_xticks(scales.to_list(), [f"{scale:g}" for scale in scales])
            edge = 0.08 * (scales[-1] - scales[0])
            axes.set_xlim(scales[0] - edge, scales[-1] + edge)
            axes.grid(axis="y", color="0.9", linewidth=0.8)
            sns.despine(ax=axes)
            drawn.append(axes)
    return drawn


def _grid(rows: pl.DataFrame) -> list[list[Panel]]:
    """The panels of an adapter, line by line; a line without any is left out."""
    kappas, rights = rows.filter(measure=KAPPA), rows.filter(pl.col("measure").is_in([ACCURACY, OWN_ACCURACY]))
    probes, falls = rows.filter(measure=PROBE), rows.filter(measure=FALL)
    tasks = rights["task"].unique(maintain_order=True).to_list()
    looks = _inside_looks(rows)
    # One axis for all tasks.
    lowest = min([0.0, *kappas["value_low"].drop_nulls(), *kappas["value"].drop_nulls()])

    def agreement(task: str) -> Panel:
        return task_title(task), lambda axes: _agreement(axes, kappas.filter(task=task), lowest)

    def accuracy(task: str) -> Panel:
        return _with_surplus(task, rows), lambda axes: _accuracy(axes, rights.filter(task=task))

    def inside(part: pl.DataFrame, title: str, unit: str, scale: float) -> Panel:
        return title, lambda axes: _inside(axes, part, looks, unit, scale)

    lines: list[list[Panel]] = [
        [agreement(task) for task in tasks] if kappas.height else [],
        [accuracy(task) for task in tasks],
        [
            *(
                inside(probes.filter(of=of), f"{PROBE_TITLES[of]} read within voices", "R²", 1)
                for of in probes["of"].unique(maintain_order=True)
            ),
            *(
                inside(falls.filter(task=task), f"{task_title(task)} without sound", "Change (points)", 100)
                for task in falls["task"].unique(maintain_order=True)
            ),
        ],
    ]
    return [line for line in lines if line]


def _with_surplus(task: str, rows: pl.DataFrame) -> str:
    """A task with what the sound tells beyond its words, where that was measured."""
    found = rows.filter(measure=SURPLUS, task=task)["value"].drop_nulls()
    return f"{task_title(task)}\nsurplus {decimal(found[0])} bits" if len(found) else task_title(task)


def _agreement(axes: "Axes", rows: pl.DataFrame, lowest: float) -> None:
    _line(axes, rows, AGREES)
    axes.set_ylim(lowest - 0.04, 1.04)
    axes.set_ylabel("κ")


def _accuracy(axes: "Axes", rows: pl.DataFrame) -> None:
    chance = rows["beside"].drop_nulls()
    if len(chance):
        axes.axhline(100 * chance[0], **(CONTROL | {"zorder": 1}))
    _line(axes, rows.filter(measure=OWN_ACCURACY), OWN, 100)
    _line(axes, rows.filter(measure=ACCURACY), SYSTEM, 100)
    axes.set_ylim(-4, 104)
    axes.set_ylabel("Accuracy (%)")


def _inside_looks(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """How what was found inside is drawn, by name: a layer of a probe, a concept that is erased."""
    inside = rows.filter(pl.col("measure").is_in([PROBE, FALL]))
    names = list(dict.fromkeys(_name(row) for row in inside.iter_rows(named=True)))
    return {
        name: {
            "color": COLORS[INSIDE[place % len(INSIDE)]],
            "marker": MARKERS[4 + place % (len(MARKERS) - 4)],
            "linestyle": DASHES[place % len(DASHES)],
        }
        for place, name in enumerate(names)
    }


def _name(row: dict[str, Any]) -> str:
    return f"Layer {row['layer']}" if row["measure"] == PROBE else f"{concept_title(row['of'])} erased"


def _inside(axes: "Axes", rows: pl.DataFrame, looks: dict[str, dict[str, Any]], unit: str, scale: float) -> None:
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=0.5)
    named = rows.with_columns(name=pl.Series([_name(row) for row in rows.iter_rows(named=True)], dtype=pl.String))
    for (name,), part in named.group_by("name", maintain_order=True):
        _line(axes, part, looks[str(name)] | {"label": str(name)}, scale)
        control = part.drop_nulls("beside").sort("scale")
        axes.plot(control["scale"].to_numpy(), scale * control["beside"].to_numpy(), **(CONTROL | {"zorder": 1}))
    axes.set_ylabel(unit)


def _line(axes: "Axes", rows: pl.DataFrame, look: dict[str, Any], scale: float = 1) -> None:
    there = rows.drop_nulls("value").sort("scale")
    if not there.height:
        return
    bars = there.drop_nulls("value_low")
    x, low, high = (bars[name].to_numpy() for name in ("scale", "value_low", "value_high"))
    axes.vlines(x, scale * low, scale * high, color=look["color"], linewidth=0.9, alpha=0.7, zorder=1.5)
    size = {"linewidth": 1.6, "markersize": 5}
    axes.plot(there["scale"].to_numpy(), scale * there["value"].to_numpy(), **(size | look))


DIAL = Figure(
    name="dial",
    table="dial",
    section=SECTION,
    caption=(
        "One adapter with none, a part and all of its change. Above: κ of the speech LLM with the cascade that has its "
        "own text LLM at the same scale, then the accuracies of the two, a column a task; dotted, chance. If the "
        "measures are right, κ falls and the speech LLM leaves its cascade where the sound tells more than the words "
        "(the surplus, in bits, where it was measured). Below, where the models were opened: what a probe reads of the "
        "pitch within voices, dotted its shuffled targets; the change of accuracy while pitch and energy are erased, "
        "dotted that of as many drawn directions. Upright lines are intervals; too few texts have none."
    ),
    draw=dial_figure,
    planned=lambda study: bool(dials(study.config)),
)
