"""What linear probes read in each layer, as lines (paper's Figure 4)."""

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.display import MINUS
from cascade_equivalence.report.figures.figure import Counterpart, Figure
from cascade_equivalence.report.figures.layer_axis import GREY, curve, label_layers, legend, parts
from cascade_equivalence.report.figures.looks import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LOOKS: dict[str, dict[str, Any]] = {
    "energy": {"label": "Energy", "color": COLORS[0], "marker": "o", "linestyle": "-"},
    "pitch": {"label": "Pitch", "color": COLORS[1], "marker": "s", "linestyle": "--"},
    "boc": {"label": "Bag of characters", "color": COLORS[2], "marker": "D", "linestyle": "-."},
    "ctc": {"label": "Text read by CTC", "color": COLORS[3], "marker": "^", "linestyle": "-"},
}
PANELS = {
    "Sound: energy and pitch": ("energy", "pitch"),
    "Characters, in no order": ("boc",),
    "Characters, in order (CTC)": ("ctc",),
}
UNTRAINED: dict[str, Any] = {
    "label": "With untrained blocks",
    "color": GREY,
    "linestyle": (0, (4, 2)),
    "linewidth": 1.1,
}
CONTROLS: dict[str, dict[str, Any]] = {
    "shuffled": {"label": "Shuffled targets", "color": GREY, "linestyle": (0, (1, 1.6)), "linewidth": 1.3},
    "prior": {"label": "Nothing heard (CTC)", "color": "0.6", "linestyle": (0, (7, 2, 1, 2)), "linewidth": 1.3},
}
ASIDE = 0.02
"""How far the probes of a panel stand beside each other, as a share of the layers."""
FLOOR = -1.5
"""R2 below this is not shown: it only says that a probe is worse than the mean."""


def probe_figure(table: pl.DataFrame) -> "Drawing":
    """What probes read, a strip a model; R2 and decodability have axes of their own, because they do not compare.

    Args:
        table: Tidy probes table.

    Returns:
        A figure; upright lines are intervals, controls are grey: dashes for untrained blocks, with the marker of the
        probe they belong to.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    trained = table.filter(~pl.col("untrained"))
    models = trained["model"].unique(maintain_order=True).to_list()
    figure = plt.figure(figsize=(9.2, 0.8 + 2.35 * len(models)), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    drawn: list[Axes] = []
    for strip, model in zip(parts(figure, models), models, strict=True):
        mine = trained.filter(model=model)
        layers = mine["layer"].unique().sort().to_list()
        for axes, (title, probes) in zip(strip.subplots(1, len(PANELS)), PANELS.items(), strict=True):
            axes.set_ylim(*_ends(trained, probes))
            step = ASIDE * max(1, layers[-1] - layers[0])
            for place, probe in enumerate(probes):
                aside = step * (place - (len(probes) - 1) / 2)
                _curves(axes, mine.filter(probe=probe), LOOKS[probe], aside)
            axes.set_title(title)
            axes.set_xlabel("Layer")
            axes.set_ylabel(f"1 {MINUS} CER" if probes == ("ctc",) else "R²")
            label_layers(axes, layers)
            sns.despine(ax=axes)
            drawn.append(axes)
    legend(figure, drawn, (*LOOKS.values(), UNTRAINED, *CONTROLS.values()), 4)
    return figure


def _curves(axes: "Axes", rows: pl.DataFrame, look: dict[str, Any], aside: float) -> None:
    marker = {"marker": look["marker"], "markersize": 4, "markerfacecolor": "white"}
    for name, control in CONTROLS.items():
        curve(axes, rows, name, control | marker, aside)
    untrained = rows.drop("untrained_value_low", "untrained_value_high")
    curve(axes, untrained, "untrained_value", UNTRAINED | marker, aside)
    curve(axes, rows, "value", look | {"linewidth": 1.6, "markersize": 5}, aside)


def _ends(trained: pl.DataFrame, probes: tuple[str, ...]) -> tuple[float, float]:
    """Ends of an axis that holds all models' values of some probes, up to a whole tenth."""
    mine = trained.filter(pl.col("probe").is_in(list(probes)))
    names = ["value", "value_low", "value_high", "untrained_value", *CONTROLS]
    values = [value for name in names for value in mine[name] if value is not None]
    highest = max(values, default=1.0)
    lowest = max(min([0.0, *values]), FLOOR)
    top = min(1.0, math.ceil(10 * highest + 0.1) / 10)
    return lowest - 0.03 * (top - lowest), max(top, highest, 0.1) + 0.02 * (top - lowest)


PROBES = Figure(
    name="probes",
    table="probes",
    section="probes",
    caption=(
        "What linear probes read from each layer of each opened model, on held-out items: energy and pitch, and "
        f"the frequencies of characters, as R²; characters in their order as 1 {MINUS} CER, which is another measure "
        "and has an axis of its own. Grey lines are controls with the marker of the "
        "probe: the same blocks untrained (dashes), shuffled targets (dots), a CTC probe that hears nothing. Upright "
        "lines are intervals; a triangle at the lower edge says that something goes on below."
    ),
    draw=probe_figure,
    planned=lambda study: bool(study.mechanism_files["probes"]),
    paper=Counterpart(
        4,
        "probes by layer, on two axes",
        ("probes",),
        "a panel for each measure in place of two axes; intervals, untrained blocks, shuffled targets",
    ),
)
