"""The tables on comparisons as a reader sees them: agreement of pairs, and contrasts of two agreements."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.report import retest_table
from cascade_equivalence.report.display import (
    MARKS,
    MINUS,
    NOT_RUN,
    UNDEFINED,
    Display,
    decimal,
    ends,
    mark_legend,
    p_value,
    percent,
    points,
)
from cascade_equivalence.report.naming import CASCADE, condition_title, task_title

OVERLAP_LIMITS = "Its interval is a score interval (Wilson) with the variance of whole texts."
MATCH_LEGEND = (
    "Match compares the text LLMs inside: exact (the same weights), family (other weights in a network of the same "
    "kind and shape), none, unknown (a system behind an API). It is computed from the files of the models."
)


def agreement(table: pl.DataFrame, confidence: float) -> Display:
    """Section 4 of the paper: one row a pair, task and condition."""
    rows = []
    for row in table.iter_rows(named=True):
        marks = {MARKS[row["system_against_chance"]], MARKS[row["reference_against_chance"]]}
        rows.append(
            [
                f"{row['system']} vs. {row['reference']}",
                row["match"],
                task_title(row["task"]),
                condition_title(row["condition"]),
                f"{row['rows']:,} ({row['groups']:,})",
                ends(row, "kappa") + "".join(sorted(marks)),
                *retest_table.cells(table, row),
                percent(row["observed_agreement"]),
                points(row["accuracy_difference"]),
                f"{p_value(row['mcnemar_p'])} ({p_value(row['mcnemar_p_adjusted'])})",
                percent(row["row_test_size"]),
                f"{p_value(row['clustered_p'])} ({p_value(row['clustered_p_adjusted'])})",
                *_overlap_cells(row),
            ]
        )
    pairs = table.select("system", "reference", "pair").unique(maintain_order=True).iter_rows()
    return Display(
        name="agreement",
        title="Agreement, item by item",
        columns=[
            "Pair",
            "Match",
            "Task",
            "Speech",
            "Clips (texts)",
            f"κ [{confidence:.0%}]",
            *retest_table.heads(table),
            "Same answer %",
            "Accuracy difference",
            "McNemar p (adjusted)",
            "its false alarms %",
            "p by texts (adjusted)",
            "Error overlap",
            "by chance: even / own",
        ],
        rows=rows,
        remarks=[
            "; ".join(f"{system} vs. {reference}: {label}" for system, reference, label in pairs) + ".",
            MATCH_LEGEND,
            "κ is Cohen's; an answer that could not be parsed counts as a category of its own. Its interval is a score "
            "interval that counts whole texts, because voices of one text are not independent. McNemar's p, the "
            "paper's, takes clips as independent; its false alarms say how often it shows a difference that is not "
            "there at the level of the tests, from the study's own design effects. p by texts (clustered McNemar) does "
            "not have this fault. Both are adjusted (Benjamini-Hochberg) over all pairs and tasks of a condition, or "
            "over the families of tests that the study's config names. A large p is no proof of equality.",
            "Error overlap is the share of clips that both got wrong on which both gave the same wrong answer, beside "
            "what chance gives if all wrong labels are equally likely (even), and if each system keeps its own "
            "favourite errors (own). With two labels it says nothing (n/a). " + OVERLAP_LIMITS,
            *retest_table.remarks(table),
            *(f"{remark} Here: of either system." for remark in mark_legend(row[5] for row in rows)),
        ],
        text_columns=4,
    )


def ceilings(agreement: pl.DataFrame) -> pl.DataFrame:
    """Pairs of two cascades with one and the same LLM: they differ only in the transcript it reads."""
    both = (pl.col("system_kind") == CASCADE) & (pl.col("reference_kind") == CASCADE)
    return agreement.filter(both & (pl.col("match") == "exact"))


def contrasts(table: pl.DataFrame, pairs: pl.DataFrame, confidence: float) -> Display:
    """How much more a system agrees with one reference than with another: one row a contrast, task and condition.

    Args:
        table: Tidy contrasts table.
        pairs: Tidy agreement table, for the ceilings.
        confidence: Level of the intervals.

    Returns:
        The two kappas side by side, their difference, and the kappa of each ceiling that one of the two references with
        the system's own LLM is part of.
    """
    matched = {name for which in ("first", "second") for name in _matched(table, which)}
    tops = ceilings(pairs).filter(pl.col("system").is_in(matched) | pl.col("reference").is_in(matched))
    tops_by_pair = {
        (str(system), str(reference)): {(row["task"], row["condition"]): row for row in part.iter_rows(named=True)}
        for (system, reference), part in tops.group_by("system", "reference", maintain_order=True)
    }
    rows = []
    for row in table.iter_rows(named=True):
        references = {row[which] for which in ("first", "second") if row[f"match_{which}"] == "exact"}
        marks = {MARKS[row[f"{arm}_against_chance"]] for arm in ("system", "first", "second")}
        rows.append(
            [
                row["contrast"],
                f"{row['system']}: {row['first']} ({row['match_first']}) "
                f"{MINUS} {row['second']} ({row['match_second']})",
                task_title(row["task"]),
                condition_title(row["condition"]),
                *(ends(row, f"kappa_{which}") for which in ("first", "second")),
                ends(row, "kappa_difference", signed=True) + "".join(sorted(marks)),
                "not read" if any(marks) else _shown(row),
                *(
                    ends(found, "kappa")
                    if references & set(pair) and (found := cells.get((row["task"], row["condition"])))
                    else NOT_RUN
                    for pair, cells in tops_by_pair.items()
                ),
            ]
        )
    return Display(
        name="contrasts",
        title="One system, two references",
        columns=[
            "Contrast",
            f"System: first {MINUS} second (match)",
            "Task",
            "Speech",
            "κ with first",
            "κ with second",
            f"Difference [{confidence:.0%}]",
            "Shown",
            *(f"Ceiling: {system} vs. {reference}" for system, reference in tops_by_pair),
        ],
        rows=rows,
        remarks=[
            "How much more a system agrees with the first reference than with the second, on the same clips; the "
            "interval of the difference comes from those of the two κ and their correlation over texts.",
            MATCH_LEGEND,
            "Shown: the difference is not 0 after correction for the number of contrasts (Benjamini-Hochberg). Where "
            "it is not shown, neither a difference nor equality is. Not read: one of the three is not shown to be "
            "above chance.",
            *(["Ceiling: κ of two cascades with this LLM that read two transcripts."] if tops_by_pair else []),
            *(f"{remark} Here: of any of the three." for remark in mark_legend(row[6] for row in rows)),
        ],
        text_columns=4,
    )


def _matched(table: pl.DataFrame, which: str) -> list[str]:
    return table.filter(pl.col(f"match_{which}") == "exact")[which].unique().to_list()


def _shown(row: Mapping[str, Any]) -> str:
    return UNDEFINED if row["agreements_differ"] is None else "yes" if row["agreements_differ"] else "no"


def _overlap_cells(row: dict) -> tuple[str, str]:
    if not row["overlap_informative"]:
        return UNDEFINED, UNDEFINED
    chance = f"{decimal(row['overlap_chance'])} / {decimal(row['overlap_chance_empirical'])}"
    return ends(row, "overlap"), chance
