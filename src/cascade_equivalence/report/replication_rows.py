"""The rows of the paper's Figure 1 in its order, its numbers beside the study's."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.comparison import NO, SAME
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.replication import papers_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "figure1_beside"
CAPTION = (
    "The rows of the paper's Figure 1 in its order. Hollow diamonds: the paper's κ, with its interval, or the wider of "
    "the half-widths that its caption gives. Filled dots: this study's κ of the same systems; grey squares: of "
    "stand-ins, which are other models or answer other items and are not judged. Level lines are intervals."
)
PAPER, OURS, STAND_IN = "the paper", "this study", "this study, stand-in"
APART = 0.16
ROW_INCHES = 0.42


def shown(comparison: pl.DataFrame) -> pl.DataFrame:
    """The cells of Figure 1 that the study has a kappa for."""
    cells = (pl.col("place") == "Figure 1") & (pl.col("statistic") == "kappa")
    return comparison.filter(cells & (pl.col("applies") != NO) & pl.col("ours").is_not_null())


def figure1_beside(comparison: pl.DataFrame) -> "Figure":
    """A panel a task, a row a pair in the paper's order.

    Args:
        comparison: What ``comparison`` gives, of which ``shown`` leaves something.
    """
    from matplotlib import pyplot as plt

    cells = shown(comparison)
    pairs = cells.select("system", "reference").unique(maintain_order=True).rows()
    tasks = cells["task"].unique(maintain_order=True).to_list()
    figure, grid = plt.subplots(
        1,
        len(tasks),
        figsize=(2.2 + 1.7 * len(tasks), 1.1 + ROW_INCHES * len(pairs)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, task in zip(grid.flat, tasks, strict=True):
        _panel(axes, cells.filter(task=task), pairs)
        axes.set_title(task_title(task))
        axes.set_xlabel("Cohen's κ")
    grid.flat[0].set_yticks(range(len(pairs)), [_named(pair, cells) for pair in pairs])
    grid.flat[0].set_ylim(len(pairs) - 0.5, -0.5)
    found: dict[str, Any] = {}
    for axes in grid.flat:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    kinds = [kind for kind in (PAPER, OURS, STAND_IN) if kind in found]
    figure.legend([found[kind] for kind in kinds], kinds, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _named(pair: tuple[str, str], cells: pl.DataFrame) -> str:
    row = cells.filter(system=pair[0], reference=pair[1]).row(0, named=True)
    ours = f"{row['ours_system']} vs. {row['ours_reference']}"
    return f"{pair[0]} vs. {pair[1]}\n{ours}"


def _panel(axes: "Axes", cells: pl.DataFrame, pairs: list[tuple[str, str]]) -> None:
    for row in cells.iter_rows(named=True):
        at = pairs.index((row["system"], row["reference"]))
        limits = papers_limits(row) or (row["paper"], row["paper"])
        _dot(axes, PAPER, at - APART, (row["paper"], *limits))
        ends = [row["ours"] if row[name] is None else row[name] for name in ("ours_low", "ours_high")]
        _dot(axes, OURS if row["applies"] == SAME else STAND_IN, at + APART, (row["ours"], ends[0], ends[1]))
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.grid(axis="x", color="0.92", zorder=0)
    axes.set_axisbelow(True)


def _dot(axes: "Axes", kind: str, at: float, found: tuple[float, float, float]) -> None:
    looks: dict[str, dict[str, Any]] = {
        PAPER: {"marker": "D", "markerfacecolor": "white", "color": "0.1", "markersize": 5},
        OURS: {"marker": "o", "color": "#00508f", "markersize": 6},
        STAND_IN: {"marker": "s", "color": "0.5", "markersize": 5},
    }
    value, low, high = found
    reach = [[max(0.0, value - low)], [max(0.0, high - value)]]
    label = kind if kind not in axes.get_legend_handles_labels()[1] else None
    axes.errorbar([value], [at], xerr=reach, linestyle="none", linewidth=1.2, capsize=0, label=label, **looks[kind])
