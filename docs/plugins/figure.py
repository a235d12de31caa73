"""A figure: the accuracy of each system on each task, a bar each."""

from typing import TYPE_CHECKING

from cascade_equivalence.report.figures.figure import FIGURES, Figure
from cascade_equivalence.report.naming import task_title

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure as Drawing


def draw(table: "pl.DataFrame") -> "Drawing":
    """Draw the tidy table of accuracies, clean speech."""
    import seaborn as sns
    from matplotlib import pyplot as plt

    clean = table.filter(condition="clean")
    bars = {"Task": list(map(task_title, clean["task"])), "Accuracy": clean["accuracy"], "System": clean["system"]}
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    sns.barplot(bars, x="Task", y="Accuracy", hue="System", ax=axes)
    axes.set(xlabel="", ylim=(0, 1))
    return figure


FIGURES.add(
    Figure(name="bars", table="accuracy", section="accuracy", caption="Accuracy of each system, in bars.", draw=draw)
)
