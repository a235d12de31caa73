"""The tests of a difference in accuracy, as tidy columns and as a reader sees them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import PairColumn, count, later, number, text
from cascade_equivalence.report.display import UNDEFINED, Display, decimal, p_value, percent, span
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

CORRECTED = ("mcnemar_p", "clustered_p")
"""Tests of which a study makes many: the same of one item set and family are corrected together."""
TOLERANCE = 1.1  # a test that errs a tenth more often than it should does its work
DISCORDANT: dict[str, PairColumn] = {
    "only_system_right": count("tests.b"),
    "only_reference_right": count("tests.c"),
    "mcnemar_p": number("tests.p"),
    "mcnemar_method": text("tests.method"),
}
COLUMNS: dict[str, PairColumn] = {
    **DISCORDANT,
    "mcnemar_p_adjusted": later(pl.Float64),
    "exact_p": number("tests.exact"),
    "mid_p": number("tests.mid_p"),
    "clustered_statistic": number("tests.clustered.statistic"),
    "clustered_p": number("tests.clustered.p"),
    "clustered_p_adjusted": later(pl.Float64),
    "clustered_reason": text("tests.clustered.reason"),
    "permutation_p": number("tests.permutation.p"),
    **{f"row_test_{name}": number(f"tests.row_test.{name}") for name in ("alpha", "design_effect", "size")},
}
"""``mcnemar_p``, ``exact_p`` and ``mid_p`` take rows as independent; ``clustered_p`` and ``permutation_p``, groups. The
adjusted p-values are null for pairs outside the family of tests. ``row_test_*``: see ``stats.equivalence.tests``."""


def display(table: pl.DataFrame, confidence: float) -> Display:
    """Is one system right more often? One row a pair and task, clean speech."""
    clean = table.filter(condition=CLEAN)
    rows = [
        [
            f"{row['system']} vs. {row['reference']}",
            task_title(row["task"]),
            f"{row['rows']:,} ({row['groups']:,})",
            f"{row['only_system_right']:,}",
            f"{row['only_reference_right']:,}",
            _with_adjusted(row, "mcnemar_p"),
            p_value(row["exact_p"]),
            p_value(row["mid_p"]),
            _with_adjusted(row, "clustered_p"),
            p_value(row["permutation_p"]),
            percent(row["row_test_size"]),
        ]
        for row in clean.iter_rows(named=True)
    ]
    return Display(
        name="tests",
        title="Is one system right more often?",
        columns=[
            "Pair",
            "Task",
            "Clips (texts)",
            "Only the first right",
            "Only the second right",
            "McNemar p (adjusted)",
            "Exact p",
            "Mid-p",
            "Clustered p (adjusted)",
            "Permutation p",
            "False alarms of McNemar %",
        ],
        rows=rows,
        remarks=[
            "McNemar, as the paper has it, exact and mid-p take clips as independent; the clustered test (Obuchowski "
            "1998) and the exact permutation test count a text as one. All are two-sided.",
            *row_test_remarks(clean),
            "Adjusted (Benjamini-Hochberg) for the pairs and tasks that are tested together; only p-values with an "
            "adjusted one in brackets belong to them. A large p is no proof of equality: see the table on equivalence.",
            *(
                f"Missing ({UNDEFINED}): {reason}."
                for reason in clean["clustered_reason"].drop_nulls().unique(maintain_order=True)
            ),
        ],
        text_columns=2,
    )


def row_test_remarks(table: pl.DataFrame) -> list[str]:
    """What the paper's test of rows is worth in a study, from its own design effects.

    Args:
        table: Some rows of the tidy table of tests.

    Returns:
        A remark for each level; none where no comparison has a design effect.
    """
    remarks = []
    sized = table.drop_nulls("row_test_size")
    for alpha in sized["row_test_alpha"].unique(maintain_order=True):
        part = sized.filter(row_test_alpha=alpha)
        found = (
            f"False alarms: how often McNemar's test of clips at {alpha:.0%} shows a difference that is not there, "
            "from the comparison's own design effect: how many times larger the variance of its difference is than "
            f"that of independent clips ({span(part['row_test_design_effect'], decimal)} here). It is estimated at "
            f"{span(part['row_test_size'], percent)} %"
        )
        told = (
            f", not {percent(alpha)} %: clips of one text are answered alike, so its p-values are too small, and "
            "adjusted for the number of tests they still are. Read the clustered test."
            if part["row_test_size"].max() > TOLERANCE * alpha
            else ", as it should be."
        )
        remarks.append(found + told)
    return remarks


def _with_adjusted(row: Mapping[str, Any], name: str) -> str:
    adjusted = row[f"{name}_adjusted"]
    return p_value(row[name]) + ("" if adjusted is None else f" ({p_value(adjusted)})")


def _corrected(results: "Results") -> pl.DataFrame:
    """With the p-values corrected for the number of tests."""
    from cascade_equivalence.report.families import correct

    correct(results.pairs["tests"], CORRECTED, results.statistics)
    return results.in_order(TABLE)


TABLE = Table(
    name="tests",
    section="accuracy",
    columns=COLUMNS,
    build=_corrected,
    display=lambda tables, confidence: display(tables.tests, confidence),
)
