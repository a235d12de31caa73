"""How alike states are of the same words heard and read, layer by layer, as lines."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.layer_axis import GREY, curve, label_layers, legend
from cascade_equivalence.report.figures.looks import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LOOKS: dict[str, dict[str, Any]] = {
    "cka": {"label": "CKA of utterances", "color": COLORS[0], "marker": "o", "linestyle": "-"},
    "cka_shuffled": {"label": "CKA, other pairs", "color": COLORS[0], "linestyle": ":"},
    "centred": {"label": "Words, means taken away", "color": COLORS[1], "marker": "^", "linestyle": "-"},
    "centred_chance": {"label": "Words of others, by chance", "color": COLORS[1], "linestyle": ":"},
    "as_they_are": {"label": "Words as they are", "color": COLORS[2], "marker": "s", "linestyle": "--"},
}


def similarity_figure(table: pl.DataFrame) -> "Drawing":
    """CKA and cosines of words by layer, a panel a model; layer -1 is what the text LLM is given.

    Args:
        table: Tidy similarity table.

    Returns:
        A figure; upright lines are intervals.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt

    models = table["model"].unique(maintain_order=True).to_list()
    figure, grid = plt.subplots(
        1, len(models), figsize=(1.4 + 3.6 * len(models), 3.6), squeeze=False, sharey=True, layout="constrained"
    )
    drawn: list[Axes] = []
    for axes, model in zip(grid[0], models, strict=True):
        mine = table.filter(model=model).sort("layer")
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=0.5)
        for name, look in LOOKS.items():
            own = mine.drop(f"{name}_low", f"{name}_high", strict=False) if name.endswith("_chance") else mine
            curve(axes, own, name, look | {"linewidth": 1.5, "markersize": 4.5})
        axes.set_title(model)
        axes.set_xlabel("Layer")
        label_layers(axes, mine["layer"].to_list())
        sns.despine(ax=axes)
        drawn.append(axes)
    grid[0][0].set_ylabel("Alike")
    legend(figure, drawn, LOOKS.values(), 3 if len(models) > 1 else 2)
    return figure


SIMILARITY = Figure(
    name="similarity",
    table="similarity",
    section="similarity",
    caption=(
        "The same utterances heard and read: linear CKA of their mean states, and the mean cosine of each word's "
        "states, against other utterances (dotted). Layer \N{MINUS SIGN}1 is what the text LLM is given. Upright lines "
        "are intervals."
    ),
    draw=similarity_figure,
    planned=lambda study: bool(study.mechanism_files["similarity"]),
    has=lambda table: table["cka"].count() > 0,
)
