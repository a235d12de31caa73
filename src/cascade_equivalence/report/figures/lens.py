"""Words that the logit lens shows at each layer, as lines (paper's Figure 5)."""

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.figures.figure import Counterpart, Figure
from cascade_equivalence.report.figures.layer_axis import GREY, curve, label_layers, legend
from cascade_equivalence.report.figures.looks import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LOOKS: dict[str, dict[str, Any]] = {
    "precision": {"label": "Precision", "color": COLORS[0], "marker": "D", "linestyle": "-", "linewidth": 1.8},
    "recall": {"label": "Recall", "color": COLORS[1], "marker": "s", "linestyle": "--", "linewidth": 1.4},
    "tuned_precision": {
        "label": "Precision, tuned lens",
        "color": COLORS[2],
        "marker": "^",
        "linestyle": "-.",
        "linewidth": 1.4,
    },
}
CHANCE: dict[str, Any] = {"label": "Recall by chance", "color": GREY, "linestyle": (0, (1, 1.6)), "linewidth": 1.3}
BAND: dict[str, Any] = {
    "label": "Precision by chance",
    "facecolor": "0.88",
    "edgecolor": GREY,
    "linewidth": 0.8,
}
COLUMNS = 3


def lens_figure(table: pl.DataFrame) -> "Drawing":
    """Precision and recall of the shown words by layer, a panel a model, on one scale.

    Args:
        table: Tidy lens table.

    Returns:
        A figure; upright lines are intervals, the grey band is the precision against other transcripts.
    """
    import seaborn as sns
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    models = table["model"].unique(maintain_order=True).to_list()
    columns = min(COLUMNS, len(models))
    lines = math.ceil(len(models) / columns)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(1.4 + 3.6 * columns, 1.1 + 2.6 * lines),
        squeeze=False,
        sharey=True,
        layout=ConstrainedLayoutEngine(w_pad=0.1),
    )
    drawn: list[Axes] = []
    for axes, model in zip(grid.flat, models, strict=False):
        mine = table.filter(model=model).sort("layer")
        band = mine.drop_nulls("chance_precision")
        if band.height:
            chance = band["chance_precision"].to_numpy()
            axes.fill_between(band["layer"].to_numpy(), 0, chance, zorder=1, **BAND)
        curve(axes, mine.drop("chance_recall_low", "chance_recall_high"), "chance_recall", CHANCE)
        for name, look in reversed(LOOKS.items()):
            curve(axes, mine, name, look | {"markersize": 5})
        axes.set_title(model)
        axes.set_xlabel("Layer")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        label_layers(axes, mine["layer"].to_list())
        sns.despine(ax=axes)
        drawn.append(axes)
    for axes in list(grid.flat)[len(models) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel("Share of tokens")
    legend(figure, drawn, (*LOOKS.values(), BAND, CHANCE), 4 if columns > 1 else 2)
    return figure


LENS = Figure(
    name="lens",
    table="lens",
    section="lens",
    caption=(
        "Of the tokens that the logit lens shows at each layer, the share that occurs in what was spoken "
        "(precision); of what was spoken, the share that it shows (recall). The upper edge of the grey area is the "
        "precision against the transcripts of other utterances. A tuned lens is shown on the test items alone. Upright "
        "lines are intervals."
    ),
    draw=lens_figure,
    planned=lambda study: bool(study.mechanism_files["lens"]),
    paper=Counterpart(5, "logit lens precision by layer", ("lens",), "intervals, recall, and chance"),
)
