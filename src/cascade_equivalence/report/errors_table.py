"""What the errors of two systems have in common: the columns of the tidy table, and the table as a reader sees it."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import Numbers, PairColumn, count, estimate, flag, number, reason, text
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, decimal, ends, p_value, percent
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.pair_tables import OVERLAP_LIMITS
from cascade_equivalence.report.table import Table

OVERLAP: dict[str, PairColumn] = {
    **estimate("overlap"),
    "overlap_reason": reason("overlap"),
    "overlap_informative": flag("overlap.informative"),
}
CHANCE: dict[str, PairColumn] = {
    "overlap_chance": number("overlap.chance.uniform"),
    "overlap_chance_empirical": number("overlap.chance.empirical"),
}


def _by_even_chance(end: str) -> PairColumn:
    """Overlap by that of wrong answers that are evenly spread."""

    def read(found: Numbers) -> float | None:
        value = getattr(found["overlap"], end)
        even = found["overlap.chance.uniform"].value if found["overlap.informative"].value else None
        return None if value is None or even is None else value / even

    return PairColumn(pl.Float64, read)


def _heard(name: str, statistic: str) -> dict[str, PairColumn]:
    """An estimate that there is only where a transcript is read."""
    cells = estimate(name, statistic)
    return {
        column: PairColumn(kind, lambda found, read=read: read(found) if statistic in found else None)  # type: ignore[misc]
        for column, (kind, read) in cells.items()
    }


COLUMNS: dict[str, PairColumn] = {
    "both_wrong": count("overlap.both_wrong"),
    "same_wrong": count("overlap.same_wrong"),
    **OVERLAP,
    "overlap_with_invalid_pairs": number("overlap.with_invalid_pairs"),
    **CHANCE,
    "overlap_permuted": number("errors.permutation.mean"),
    "overlap_permuted_low": number("errors.permutation.low"),
    "overlap_permuted_high": number("errors.permutation.high"),
    "permutation_p": number("errors.permutation.p"),
    "permutation_texts": count("errors.permutation.texts"),
    "permutation_exchanged": count("errors.permutation.exchanged"),
    "permutation_reason": text("errors.permutation.reason"),
    **estimate("overlap_ratio", "errors.ratio"),
    "overlap_ratio_reason": reason("errors.ratio"),
    "overlap_ratio_even": _by_even_chance("value"),
    "overlap_ratio_even_low": _by_even_chance("low"),
    "overlap_ratio_even_high": _by_even_chance("high"),
    **estimate("consistency_observed", "errors.consistency.observed"),
    "consistency_expected": number("errors.consistency.expected"),
    **estimate("error_consistency", "errors.consistency.kappa"),
    "error_consistency_lowest": number("errors.consistency.lowest"),
    "error_consistency_highest": number("errors.consistency.highest"),
    "error_consistency_reason": reason("errors.consistency.kappa"),
    **estimate("copied", "errors.consistency.copied"),
    **estimate("capa", "errors.capa"),
    "capa_with_invalid_pairs": number("errors.capa.with_invalid_pairs"),
    "capa_reason": reason("errors.capa"),
    **_heard("correct_shared_errors", "errors.induced.same_wrong.share"),
    **_heard("correct_joint_errors", "errors.induced.both_wrong.share"),
    **_heard("correct_clips", "errors.induced.all.share"),
    **_heard("degraded_risk_ratio", "errors.induced.risk_ratio"),
    "induced_reason": text("errors.induced.reason"),
}


def display(table: pl.DataFrame, confidence: float) -> Display:
    """Section 4.2 of the paper: one row a pair and task, clean speech.

    Args:
        table: Tidy errors table.
        confidence: Level of the intervals, and share of the permutations within the range.
    """
    clean = table.filter(pl.col("condition") == CLEAN)
    rows = [
        [
            f"{row['system']} vs. {row['reference']}",
            row["match"],
            task_title(row["task"]),
            f"{row['both_wrong']:,} ({row['permutation_texts']:,})",
            *_overlap_cells(row),
            ends(row, "error_consistency"),
            ends(row, "capa"),
            *_transcript_cells(row),
        ]
        for row in clean.iter_rows(named=True)
    ]
    return Display(
        name="errors",
        title="Shared errors",
        columns=[
            "Pair",
            "Match",
            "Task",
            "Both wrong: clips (texts)",
            f"Same wrong answer [{confidence:.0%}]",
            "by chance: even / own",
            "Ratio to even / own chance",
            f"Permuted [{confidence:.0%} of draws] (p)",
            f"Error consistency [{confidence:.0%}]",
            f"CAPA [{confidence:.0%}]",
            "Transcript correct %: shared errors / all clips",
            "Risk ratio, transcript degraded",
        ],
        rows=rows,
        remarks=[
            "Same wrong answer: of the clips that both got wrong, the share on which both gave the same wrong answer; "
            "two answers that could not be parsed are not the same. Chance is even if all wrong labels are equally "
            "likely, own if each system keeps its own favourite errors with each gold label. With two labels there is "
            f"one wrong answer, so there is nothing to tell (n/a). {OVERLAP_LIMITS} All other intervals here draw "
            "whole texts.",
            "Permuted: the reference's wrong answers are exchanged at random, all voices of a text together, among "
            "texts with the same gold label that are wrong in as many clips. p: how often that gives an overlap at "
            "least as high as the one found; not adjusted for the number of rows. Few texts allow few exchanges, so "
            "that p cannot be small.",
            "Error consistency is Cohen's κ of right and wrong: do both err on the same clips, beyond what their "
            "accuracies bring about? CAPA is agreement beyond what their accuracies bring about; it takes wrong "
            "answers as evenly spread, so it needs a closed label set. Two systems that give one and the same answer "
            "to everything have 1 in both.",
            "Transcript correct: no word error in the text that the cascade read. The share among all clips is what "
            "shared errors have to be compared with. Risk ratio: how many times more often a clip has a shared error "
            f"if its transcript has a word error. {NOT_RUN}: neither system reads a transcript.",
        ],
        text_columns=3,
    )


def _overlap_cells(row: Mapping[str, Any]) -> list[str]:
    if not row["overlap_informative"]:
        return [UNDEFINED] * 4
    return [
        ends(row, "overlap"),
        f"{decimal(row['overlap_chance'])} / {decimal(row['overlap_chance_empirical'])}",
        f"{decimal(row['overlap_ratio_even'])} / {ends(row, 'overlap_ratio')}",
        UNDEFINED
        if row["permutation_p"] is None
        else f"{ends(row, 'overlap_permuted')} ({p_value(row['permutation_p'])})",
    ]


def _transcript_cells(row: Mapping[str, Any]) -> list[str]:
    if row["correct_clips"] is None:
        return [NOT_RUN, NOT_RUN]
    shares = f"{percent(row['correct_shared_errors'])} / {percent(row['correct_clips'])}"
    return [shares, ends(row, "degraded_risk_ratio")]


TABLE = Table(
    name="errors",
    section="errors",
    columns=COLUMNS,
    display=lambda tables, confidence: display(tables.errors, confidence),
)
