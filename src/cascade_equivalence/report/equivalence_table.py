"""Which systems are shown to be equivalent, as tidy columns and as a reader sees them."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import Schema, estimate
from cascade_equivalence.report.display import UNDEFINED, Display, interval, p_value, points_interval
from cascade_equivalence.report.naming import task_title

SCHEMA: Schema = {
    "accuracy_margin": pl.Float64,
    "kappa_bound": pl.Float64,
    "alpha": pl.Float64,
    **estimate("accuracy_difference"),
    "tango_low": pl.Float64,
    "tango_high": pl.Float64,
    "p_equivalence": pl.Float64,
    "p_difference": pl.Float64,
    "accuracy_verdict": pl.String,
    "accuracy_reason": pl.String,
    **estimate("kappa"),
    "kappa_verdict": pl.String,
    "kappa_reason": pl.String,
    "verdict": pl.String,
    "reason": pl.String,
}
"""Limits are those of score intervals at 1 - 2 ``alpha``, by groups; ``tango_low`` and ``tango_high`` take rows as
independent. The verdicts are those of ``stats.equivalence``."""

ACCURACY_WORDS = {
    "equivalent": "equal",
    "both": "equal: a difference, but a small one",
    "different": "different",
    "inconclusive": "not shown",
    "undefined": UNDEFINED,
}
KAPPA_WORDS = {
    "above": "the same",
    "below": "other answers",
    "inconclusive": "not shown",
    "undefined": UNDEFINED,
}
WORDS = {
    "equivalent": "equivalent",
    "accuracy only": "equally good, with other answers",
    "different": "different",
    "inconclusive": "not shown",
    "undefined": UNDEFINED,
}


def row(found: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a pair, from what ``stats.equivalence.judge`` gives."""
    judged = found["equivalence"]
    accuracy, kappa = judged["accuracy"], judged["kappa"]
    return {
        "accuracy_margin": accuracy["margin"],
        "kappa_bound": kappa["bound"],
        "alpha": accuracy["alpha"],
        "accuracy_difference": accuracy["difference"],
        "accuracy_difference_low": accuracy["low"],
        "accuracy_difference_high": accuracy["high"],
        "tango_low": accuracy["tango_low"],
        "tango_high": accuracy["tango_high"],
        "p_equivalence": accuracy["p_equivalence"],
        "p_difference": accuracy["p_difference"],
        "accuracy_verdict": accuracy["verdict"],
        "accuracy_reason": accuracy["reason"],
        "kappa": kappa["value"],
        "kappa_low": kappa["low"],
        "kappa_high": kappa["high"],
        "kappa_verdict": kappa["verdict"],
        "kappa_reason": kappa["reason"],
        "verdict": judged["verdict"],
        "reason": judged["reason"],
    }


def display(table: pl.DataFrame, confidence: float) -> Display:
    """Are the two shown to be equivalent? One row a pair and task, clean speech."""
    clean = table.filter(condition=CLEAN)
    rows = [
        [
            f"{row['system']} vs. {row['reference']}",
            row["match"],
            task_title(row["task"]),
            WORDS[row["verdict"]],
            ACCURACY_WORDS[row["accuracy_verdict"]],
            KAPPA_WORDS[row["kappa_verdict"]],
            points_interval(*(row[f"accuracy_difference{end}"] for end in ("", "_low", "_high"))),
            p_value(row["p_equivalence"]),
            p_value(row["p_difference"]),
            interval(*(row[f"kappa{end}"] for end in ("", "_low", "_high"))),
        ]
        for row in clean.iter_rows(named=True)
    ]
    bounds = clean.select("accuracy_margin", "kappa_bound", "alpha").unique(maintain_order=True).rows()
    missing = clean["reason"].drop_nulls().unique(maintain_order=True).to_list()
    return Display(
        name="equivalence",
        title="Are they equivalent?"
        + "".join(f" Within ±{100 * bound[0]:g} points, κ above {bound[1]:g}" for bound in bounds),
        columns=[
            "Pair",
            "Match",
            "Task",
            "Together",
            "Accuracies",
            "Answers",
            "Accuracy difference [limits]",
            "Equality p",
            "Difference p",
            "κ [limits]",
        ],
        rows=rows,
        remarks=[
            *(
                f"Accuracies are equal where the interval of their difference lies within ±{100 * margin:g} points "
                "(two one-sided tests), different where the clustered McNemar's test shows a difference; they can be "
                f"both. Answers are the same where the lower limit of κ is above {bound:g}, others where the upper "
                f"limit is below. Each test is at {alpha:.0%}, each interval at {1 - 2 * alpha:.0%}; all count a text "
                "as one. The bounds are part of the config, to be set before the answers are seen."
                for margin, bound, alpha in bounds
            ),
            "Together: equivalent if accuracies are equal and answers the same; equally good, with other answers, if "
            "accuracies are equal but κ is below its bound; different if one of them shows a difference otherwise. Not "
            "shown is no verdict: neither is shown with these texts, and more of them could show either.",
            "The limits are those of score tests, which have a width even where all answers agree; they differ a "
            "little from the bootstrap's intervals in the other tables. Verdicts are not adjusted for the number of "
            "rows.",
            *(f"Missing ({UNDEFINED}): {reason}." for reason in missing),
        ],
        text_columns=6,
    )
