"""Which systems are shown to be equivalent, as tidy columns and as a reader sees them."""

from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report import retest_table
from cascade_equivalence.report.columns import ENDS, PairColumn, estimate, later, number, reason, text
from cascade_equivalence.report.display import MINUS, NOT_RUN, UNDEFINED, Display, interval, p_value, points_interval
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

COLUMNS: dict[str, PairColumn] = {
    "accuracy_margin": number("equivalence.accuracy.margin"),
    "kappa_bound": number("equivalence.kappa.bound"),
    "accuracy_difference": number("equivalence.accuracy.difference"),
    "accuracy_difference_low": number("equivalence.accuracy.low"),
    "accuracy_difference_high": number("equivalence.accuracy.high"),
    **{name: number(f"equivalence.accuracy.{name}") for name in ("tango_low", "tango_high")},
    **{name: number(f"equivalence.accuracy.{name}") for name in ("p_equivalence", "p_difference")},
    "p_difference_adjusted": later(pl.Float64),
    "accuracy_verdict": later(pl.String),
    "accuracy_reason": text("equivalence.accuracy.reason"),
    **estimate("kappa", "equivalence.kappa"),
    "p_below": later(pl.Float64),
    "p_below_adjusted": later(pl.Float64),
    "kappa_verdict": later(pl.String),
    "kappa_reason": reason("equivalence.kappa"),
    "ceiling": later(pl.String),
    "ceiling_margin": later(pl.Float64),
    **{name: later(pl.Float64) for name in ("gap", "gap_low", "gap_high", "p_gap", "p_gap_adjusted")},
    **{name: later(pl.String) for name in ("gap_verdict", "gap_reason", "verdict", "reason")},
    **{name: later(kind) for name, kind in retest_table.BESIDE.items()},
}
"""Limits are those of the study's intervals; ``tango_low`` and ``tango_high`` take rows as independent. ``gap`` is
kappa minus that of the ``ceiling``, another pair. Verdicts are those of ``stats.equivalence``, and ``ceiling`` of a
pair that is one itself."""

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
    "ceiling": "a ceiling",
    "inconclusive": "not shown",
    "undefined": UNDEFINED,
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
            KAPPA_WORDS[row["gap_verdict"]],
            KAPPA_WORDS[row["kappa_verdict"]],
            points_interval(*(row[f"accuracy_difference{end}"] for end in ENDS)),
            p_value(row["p_equivalence"]),
            p_value(row["p_difference_adjusted"]),
            interval(*(row[f"gap{end}"] for end in ENDS), signed=True),
            row["ceiling"] or NOT_RUN,
            interval(*(row[f"kappa{end}"] for end in ENDS)),
            *retest_table.cells(clean, row),
        ]
        for row in clean.iter_rows(named=True)
    ]
    bounds = clean.select("accuracy_margin", "ceiling_margin", "kappa_bound").unique(maintain_order=True).rows()
    missing = clean["reason"].drop_nulls().unique(maintain_order=True).to_list()
    return Display(
        name="equivalence",
        title="Are they equivalent?"
        + "".join(
            f" Within ±{100 * margin:g} points, κ at most {gap:g} below the ceiling's" for margin, gap, _ in bounds
        ),
        columns=[
            "Pair",
            "Match",
            "Task",
            "Together",
            "Accuracies",
            "Answers, against the ceiling",
            *(f"Answers, κ against {bound:g}" for _, _, bound in bounds),
            f"Accuracy difference [{confidence:.0%}]",
            "Equality p",
            "Difference p, adjusted",
            f"κ {MINUS} ceiling's κ [{confidence:.0%}]",
            "Ceiling",
            f"κ [{confidence:.0%}]",
            *retest_table.heads(clean),
        ],
        rows=rows,
        remarks=[
            *(
                f"Accuracies are equal where the interval of their difference lies within ±{100 * margin:g} points "
                "(two one-sided tests), different where the clustered McNemar's test shows a difference; they can be "
                "both. Answers are the same where κ is shown to be no more than "
                f"{gap:g} below that of the ceiling, two cascades with the same LLM that read two transcripts; others "
                f"where it is shown to be further below. Where there is no ceiling, κ is judged against {bound:g}. The "
                "bounds are part of the config, to be set before the answers are seen."
                for margin, gap, bound in bounds
            ),
            "Together: equivalent if accuracies are equal and answers the same; equally good, with other answers, if "
            "accuracies are equal but κ is below its bound; different if one of them shows a difference otherwise. A "
            "ceiling is what others are held against, so it is never called different. Not shown is no verdict: "
            "neither is shown with these texts, and more of them could show either.",
            "All intervals are those of the other tables. What is said to be different or below is corrected for the "
            "number of such tests (Benjamini-Hochberg); what is said to be equal is not, as it needs every test.",
            *retest_table.remarks(clean),
            *(f"Missing ({UNDEFINED}): {reason}." for reason in missing),
        ],
        text_columns=7,
    )


def _judged(results: "Results") -> pl.DataFrame:
    """With gaps to ceilings, adjusted p-values, verdicts, and how far systems agree with themselves."""
    from cascade_equivalence.report.equivalence_verdicts import with_verdicts

    table = with_verdicts(results.in_order(TABLE), results["agreement"], results["contrasts"], results.statistics)
    return retest_table.beside(table, results["retest"])


TABLE = Table(
    name="equivalence",
    section="verdict",
    columns=COLUMNS,
    build=_judged,
    display=lambda tables, confidence: display(tables.equivalence, confidence),
)
