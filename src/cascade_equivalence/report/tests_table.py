"""The tests of a difference in accuracy, as tidy columns and as a reader sees them."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import Schema
from cascade_equivalence.report.display import UNDEFINED, Display, p_value
from cascade_equivalence.report.naming import task_title

SCHEMA: Schema = {
    "only_system_right": pl.Int64,
    "only_reference_right": pl.Int64,
    "mcnemar_p": pl.Float64,
    "mcnemar_method": pl.String,
    "mcnemar_p_adjusted": pl.Float64,
    "exact_p": pl.Float64,
    "mid_p": pl.Float64,
    "clustered_statistic": pl.Float64,
    "clustered_p": pl.Float64,
    "clustered_p_adjusted": pl.Float64,
    "clustered_reason": pl.String,
    "permutation_p": pl.Float64,
}
"""``mcnemar_p``, ``exact_p`` and ``mid_p`` take rows as independent; ``clustered_p`` and ``permutation_p``, groups. The
adjusted p-values are null for pairs outside the family of tests."""


def row(found: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a pair, from what ``stats.equivalence.tests`` gives; adjusted p-values are left open."""
    tests = found["tests"]
    return {
        "only_system_right": tests["b"],
        "only_reference_right": tests["c"],
        "mcnemar_p": tests["p"],
        "mcnemar_method": tests["method"],
        "mcnemar_p_adjusted": None,
        "exact_p": tests["exact"],
        "mid_p": tests["mid_p"],
        "clustered_statistic": tests["clustered"]["statistic"],
        "clustered_p": tests["clustered"]["p"],
        "clustered_p_adjusted": None,
        "clustered_reason": tests["clustered"]["reason"],
        "permutation_p": tests["permutation"]["p"],
    }


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
        ],
        rows=rows,
        remarks=[
            "McNemar, as the paper has it, exact and mid-p take clips as independent. Voices of one text are not, so "
            "these p-values are too small: read the clustered test (Obuchowski 1998) and the exact permutation test, "
            "which count a text as one. All are two-sided.",
            "Adjusted (Benjamini-Hochberg) for the pairs and tasks that are tested together; only p-values with an "
            "adjusted one in brackets belong to them. A large p is no proof of equality: see the table on equivalence.",
            *(
                f"Missing ({UNDEFINED}): {reason}."
                for reason in clean["clustered_reason"].drop_nulls().unique(maintain_order=True)
            ),
        ],
        text_columns=2,
    )


def _with_adjusted(row: Mapping[str, Any], name: str) -> str:
    adjusted = row[f"{name}_adjusted"]
    return p_value(row[name]) + ("" if adjusted is None else f" ({p_value(adjusted)})")
