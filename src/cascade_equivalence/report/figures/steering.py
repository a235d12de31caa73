"""What becomes of the right label's log-odds where states are changed at one layer, layer by layer, as lines."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.columns import ENDS
from cascade_equivalence.report.display import MINUS
from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.layer_axis import GREY, curve, label_layers, legend, parts
from cascade_equivalence.report.figures.looks import COLORS, MARKERS
from cascade_equivalence.report.mechanism_names import concept_title
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.steering_table import DIRECTION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing


def steering_figure(table: pl.DataFrame) -> "Drawing":
    """The change over the layers, a strip a model and a panel a task; dotted: random changes in its place.

    Args:
        table: Tidy steering table, not empty; of the first positions that it has.

    Returns:
        A figure: states moved by the least and the largest strength, and each concept erased whole; upright lines are
        intervals.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt

    table = table.filter(positions=table["positions"][0])
    models = table["model"].unique(maintain_order=True).to_list()
    tasks = table["task"].unique(maintain_order=True).to_list()
    looks = _looks(table)
    figure = plt.figure(figsize=(1.6 + 3.4 * len(tasks), 1.1 + 2.7 * len(models)), layout="constrained")
    drawn: list[Axes] = []
    for strip, model in zip(parts(figure, models), models, strict=True):
        panels = strip.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
        # One axis for all tasks.
        reached: list[float] = [0.0]
        for end in ENDS:
            reached += table.filter(model=model)[f"odds_change{end}"].drop_nulls().to_list()
        for axes, task in zip(panels, tasks, strict=True):
            mine = table.filter(model=model, task=task)
            axes.set_title(task_title(task))
            axes.set_xlabel("Layer")
            axes.axhline(0, color=GREY, linewidth=0.8, zorder=0.5)
            axes.set_ylim(min(reached) - 0.1, max(reached) + 0.1)
            for number, ((change, amount), look) in enumerate(looks.items()):
                own = mine.filter(change=change).filter(
                    pl.col("amount") == (pl.col("whole") if amount is None else amount)
                )
                aside = 0.12 * (number - len(looks) / 2)
                curve(axes, own, "odds_change", look | {"linewidth": 1.5, "markersize": 4.5}, aside)
                faint = {"color": look["color"], "linestyle": ":", "linewidth": 1.1}
                curve(axes, own, "random_change", faint, aside)
            if mine.height:
                label_layers(axes, mine["layer"].unique().sort().to_list())
            sns.despine(ax=axes)
            drawn.append(axes)
        panels[0].set_ylabel("Change of log-odds, nats")
    legend(figure, drawn, looks.values(), 3)
    return figure


def _looks(table: pl.DataFrame) -> dict[Any, dict[str, Any]]:
    """How each change is drawn; of concepts that are erased, whole, the amount is None."""
    strengths = table.filter(change=DIRECTION)["amount"].unique().sort().to_list()
    named = {
        (DIRECTION, strength): f"Moved by {strength:+g}".replace("-", MINUS)
        for strength in dict.fromkeys([*strengths[:1], *strengths[-1:]])
    }
    erased = table.filter(pl.col("change") != DIRECTION)["change"].unique(maintain_order=True)
    every: dict[Any, str] = {
        **named,
        **{(each, None): f"{concept_title(each)} erased" for each in erased},
    }
    return {
        place: {"label": label, "color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}
        for number, (place, label) in enumerate(every.items())
    }


STEERING = Figure(
    name="steering",
    table="steering",
    section="steering",
    caption=(
        "By how much the log-odds of the right label change where states are moved along the direction from silence "
        "to speech at one layer, or kept from a concept at that layer alone. Upright lines are intervals; dotted lines "
        "are random directions as long and random erasers of the same rank."
    ),
    draw=steering_figure,
    planned=lambda study: bool(study.mechanism_files["steering"]),
)
