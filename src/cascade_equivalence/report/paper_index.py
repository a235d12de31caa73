"""Where each table and figure of the paper has its counterpart, and how that differs."""

from collections.abc import Container

from cascade_equivalence.report.display import Display
from cascade_equivalence.report.figures.figure import FIGURES, Counterpart

ABSENT = "not in this study"
TABLES = {
    "table1": Counterpart(1, "systems", ("accuracy",), "parts of each system beside their sizes"),
    "table2": Counterpart(
        2, "accuracy on clean speech", ("accuracy",), "marks accuracies at chance; intervals are in accuracy.csv"
    ),
    "table3": Counterpart(
        3,
        "examples of shared errors",
        ("shared_errors", "errors"),
        "LLM or ASR by whether the transcript has a word error; none is called ambiguous",
    ),
    "table4": Counterpart(4, "probes at some layers", ("probes",), "controls and intervals are in probes.csv"),
    "table5": Counterpart(5, "logit lens by layer", ("lens",), "chance, recall and intervals are in lens.csv"),
    "table6": Counterpart(6, "sufficiency of emergent text", ("sufficiency",), "marks systems at chance"),
    "table7": Counterpart(
        7,
        "accuracy under concept erasure",
        ("erasure", "erasure_controls", "erasers"),
        "d counts directions that are taken away, the paper's the columns of the concept; controls are in "
        "erasure_controls.csv",
    ),
}
"""By name in the paper's layout; the figures say it of themselves."""


def paper_index(tables: Container[str], figures: Container[str]) -> Display:
    """Where a reader of the paper finds what.

    Args:
        tables: Names of the study's tables in the paper's layout.
        figures: Names of its figures.

    Returns:
        A row for each table and figure of the paper; files from the folder of results.
    """
    drawn = sorted(
        ((figure.paper, figure) for figure in FIGURES.values() if figure.paper), key=lambda each: each[0].number
    )
    rows = [
        *(_row("Table", each, f"paper/{name}.md", found=name in tables) for name, each in TABLES.items()),
        *(_row("Figure", each, f"figures/{figure.stem}.svg", found=figure.name in figures) for each, figure in drawn),
    ]
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


def _row(kind: str, each: Counterpart, file: str, *, found: bool) -> list[str]:
    numbers = ", ".join(f"tables/{name}.csv" for name in each.numbers)
    return [
        f"{kind} {each.number}",
        each.shows,
        *((file, numbers, each.differs) if found else (ABSENT, "", "")),
    ]
