"""Where each table and figure of the paper has its counterpart, and how that differs."""

from collections.abc import Container
from dataclasses import dataclass

from cascade_equivalence.report.display import Display

PAPER_FIGURES = {"agreement": 1, "overlap": 2, "noise": 3, "probes": 4, "lens": 5, "erasure": 6}
"""The paper's number of each figure that has a counterpart there."""
ABSENT = "not in this study"


def figure_file(name: str) -> str:
    """The file of a figure, without suffix: it begins with the paper's number, where the paper has one like it."""
    number = PAPER_FIGURES.get(name)
    return name if number is None else f"figure{number}_{name}"


def figure_name(stem: str) -> str:
    """The name of a figure from that of its file."""
    return next((name for name in PAPER_FIGURES if figure_file(name) == stem), stem)


@dataclass(frozen=True)
class Counterpart:
    """What stands for a table or figure of the paper.

    Attributes:
        place: Its number in the paper.
        shows: What it shows there.
        name: Name of the study's table in the paper's layout, or of its figure.
        numbers: Tidy tables that hold the numbers.
        differs: How the study's differs from the paper's, beside the systems, models and items.
    """

    place: str
    shows: str
    name: str
    numbers: tuple[str, ...]
    differs: str


COUNTERPARTS = (
    Counterpart("Table 1", "systems", "table1", ("accuracy",), "parts of each system beside their sizes"),
    Counterpart(
        "Table 2",
        "accuracy on clean speech",
        "table2",
        ("accuracy",),
        "marks accuracies at chance; intervals are in accuracy.csv",
    ),
    Counterpart(
        "Table 3",
        "examples of shared errors",
        "table3",
        ("shared_errors", "errors"),
        "LLM or ASR by whether the transcript has a word error; none is called ambiguous",
    ),
    Counterpart("Table 4", "probes at some layers", "table4", ("probes",), "controls and intervals are in probes.csv"),
    Counterpart("Table 5", "logit lens by layer", "table5", ("lens",), "chance, recall and intervals are in lens.csv"),
    Counterpart("Table 6", "sufficiency of emergent text", "table6", ("sufficiency",), "marks systems at chance"),
    Counterpart(
        "Table 7",
        "accuracy under concept erasure",
        "table7",
        ("erasure", "erasure_controls", "erasers"),
        "d counts directions that are taken away, the paper's the columns of the concept; controls are in "
        "erasure_controls.csv",
    ),
    Counterpart(
        "Figure 1",
        "κ of each speech LLM with a cascade, as a coloured table",
        "agreement",
        ("agreement",),
        "an interval in each cell, by whole texts; open answers too; pairs of two cascades below",
    ),
    Counterpart(
        "Figure 2",
        "share of joint errors with the same wrong answer, and even chance",
        "overlap",
        ("agreement", "errors"),
        "intervals; a second chance level, from each system's favourite errors; pairs of two cascades below",
    ),
    Counterpart(
        "Figure 3", "accuracy against signal-to-noise ratio", "noise", ("noise",), "intervals, and the level of chance"
    ),
    Counterpart(
        "Figure 4",
        "probes by layer, on two axes",
        "probes",
        ("probes",),
        "a panel for each measure in place of two axes; intervals, untrained blocks, shuffled targets",
    ),
    Counterpart("Figure 5", "logit lens precision by layer", "lens", ("lens",), "intervals, recall, and chance"),
    Counterpart(
        "Figure 6",
        "accuracy under concept erasure",
        "erasure",
        ("erasure", "erasure_controls"),
        "affine erasure, the same erasers while the model reads, the span of random draws",
    ),
)


def paper_index(tables: Container[str], figures: Container[str]) -> Display:
    """Where a reader of the paper finds what.

    Args:
        tables: Names of the study's tables in the paper's layout.
        figures: Names of its figures.

    Returns:
        A row for each table and figure of the paper; files from the folder of results.
    """
    rows = []
    for each in COUNTERPARTS:
        table = each.place.startswith("Table")
        file = f"paper/{each.name}.md" if table else f"figures/{figure_file(each.name)}.svg"
        found = each.name in (tables if table else figures)
        numbers = ", ".join(f"tables/{name}.csv" for name in each.numbers) if found else ""
        rows.append([each.place, each.shows, file if found else ABSENT, numbers, each.differs if found else ""])
    return Display(
        name="paper_index",
        title="Where the paper's tables and figures are",
        columns=["In the paper", "What it shows", "Here", "Its numbers", "What is different here"],
        rows=rows,
        remarks=[
            "Files from the folder of results; tables in the paper's layout are there as CSV and LaTeX as well, "
            "figures as PNG. The paper has no figure that is an overview or a scheme.",
            "Bars, lines and colours are not copied from the paper: each figure shows what the paper's does and can be "
            "read without colour.",
            "Every number that the paper prints stands beside the study's in comparison.csv; those that its figures "
            "draw without printing them do not.",
        ],
        text_columns=5,
    )
