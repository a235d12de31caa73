"""Lines over the layers of a model, and the axis they stand on."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

GREY = "0.45"
CUT: dict[str, Any] = {"linestyle": "", "marker": 7, "markersize": 5, "clip_on": False}
"""A triangle at the lower edge, where something goes on below it."""
LABEL_SHARE = 0.075
"""Least distance of two layers with a number each, as a share of the axis."""


def label_layers(axes: "Axes", layers: list[int]) -> None:
    """Number the first and the last layer, and as many between as there is room for.

    Args:
        axes: The axes.
        layers: The layers, ascending.
    """
    room = LABEL_SHARE * max(1, layers[-1] - layers[0])
    numbered = [layers[0]]
    for layer in layers[1:-1]:
        if layer - numbered[-1] >= room and layers[-1] - layer >= room:
            numbered.append(layer)
    axes.set_xticks(sorted({*numbered, layers[-1]}))
    axes.set_xticks(layers, minor=True)
    edge = 0.05 * max(1, layers[-1] - layers[0])
    axes.set_xlim(layers[0] - edge, layers[-1] + edge)
    axes.grid(axis="y", color="0.9", linewidth=0.8)


def curve(axes: "Axes", rows: pl.DataFrame, name: str, look: dict[str, Any], aside: float = 0.0) -> None:
    """Draw a column over the layers, with its interval where it has one; nothing where it is nowhere defined.

    What reaches below the axis, whose limits are set before, is cut there, with a mark.

    Args:
        axes: The axes.
        rows: One row a layer.
        name: The column; its interval is in ``{name}_low`` and ``{name}_high``.
        look: How the line is drawn.
        aside: How far it stands beside the layers, in layers.
    """
    there = rows.drop_nulls(name).sort("layer")
    if not there.height:
        return
    lowest = there[name]
    if f"{name}_low" in there.columns:
        bars = there.drop_nulls(f"{name}_low")
        x, low, high = (bars[column].to_numpy() for column in ("layer", f"{name}_low", f"{name}_high"))
        axes.vlines(x + aside, low, high, color=look["color"], linewidth=0.9, alpha=0.55, zorder=1.5)
        lowest = there[f"{name}_low"].fill_null(there[name])
    axes.plot(there["layer"].to_numpy() + aside, there[name].to_numpy(), **look)
    bottom = axes.get_ylim()[0]
    cut = there.filter(lowest < bottom)["layer"].to_numpy()
    if len(cut):
        axes.plot(cut + aside, [bottom] * len(cut), zorder=4, **CUT | {"color": look["color"]})


def parts(figure: "Figure", models: list[str]) -> "list[SubFigure]":
    """A strip of a figure for each model, one below the other, with the model's name above it."""
    strips = list(figure.subfigures(len(models), 1, squeeze=False).flat)
    for strip, model in zip(strips, models, strict=True):
        strip.suptitle(model, x=0.01, ha="left", size=10, weight="bold")
    return strips


def legend(figure: "Figure", axes: "list[Axes]", looks: Iterable[Mapping[str, Any]], columns: int) -> None:
    """One legend above everything, each name once.

    Args:
        figure: The figure.
        axes: Where things are drawn.
        looks: What may be drawn, in the order of the legend, by ``label``.
        columns: Most names side by side.
    """
    found: dict[str, Any] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = [look["label"] for look in looks if look["label"] in found]
    figure.legend(
        [found[name] for name in names],
        names,
        loc="outside upper center",
        ncols=min(columns, len(names)),
        frameon=False,
        handlelength=3.2,
    )
