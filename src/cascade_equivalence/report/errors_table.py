"""What the errors of two systems have in common: the columns of the tidy table, and the table as a reader sees it."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import PAIR, Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, decimal, interval, p_value, percent
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.pair_tables import OVERLAP_LIMITS
from cascade_equivalence.report.table import Table

NO_VALUE = {"value": None, "low": None, "high": None}
TRANSCRIPTS = {"same_wrong": "shared_errors", "both_wrong": "joint_errors", "all": "clips"}
SCHEMA: Schema = {
    "both_wrong": pl.Int64,
    "same_wrong": pl.Int64,
    **estimate_schema("overlap"),
    "overlap_reason": pl.String,
    "overlap_informative": pl.Boolean,
    "overlap_with_invalid_pairs": pl.Float64,
    "overlap_chance": pl.Float64,
    "overlap_chance_empirical": pl.Float64,
    **estimate_schema("overlap_permuted"),
    "permutation_p": pl.Float64,
    "permutation_texts": pl.Int64,
    "permutation_exchanged": pl.Int64,
    "permutation_reason": pl.String,
    **estimate_schema("overlap_ratio"),
    "overlap_ratio_reason": pl.String,
    **estimate_schema("overlap_ratio_even"),
    **estimate_schema("consistency_observed"),
    "consistency_expected": pl.Float64,
    **estimate_schema("error_consistency"),
    "error_consistency_lowest": pl.Float64,
    "error_consistency_highest": pl.Float64,
    "error_consistency_reason": pl.String,
    **estimate_schema("copied"),
    **estimate_schema("capa"),
    "capa_with_invalid_pairs": pl.Float64,
    "capa_reason": pl.String,
    **{column: kind for name in TRANSCRIPTS.values() for column, kind in estimate_schema(f"correct_{name}").items()},
    **estimate_schema("degraded_risk_ratio"),
    "induced_reason": pl.String,
}


def row(found: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one pair, task and condition.

    Args:
        found: An agreement node's JSON, of which ``overlap`` (see ``stats.compare``) and ``errors`` (see
            ``stats.errors``) are read.
    """
    overlap, errors = found["overlap"], found["errors"]
    permutation, ratio, capa, induced = (errors[name] for name in ("permutation", "ratio", "capa", "induced"))
    consistency = errors["consistency"]
    even = overlap["chance"]["uniform"]["value"] if overlap["informative"] else None
    return {
        "both_wrong": overlap["both_wrong"],
        "same_wrong": overlap["same_wrong"],
        **estimate_values("overlap", overlap),
        "overlap_reason": overlap["reason"],
        "overlap_informative": overlap["informative"],
        "overlap_with_invalid_pairs": overlap["with_invalid_pairs"],
        "overlap_chance": overlap["chance"]["uniform"]["value"],
        "overlap_chance_empirical": overlap["chance"]["empirical"]["value"],
        **estimate_values("overlap_permuted", permutation | {"value": permutation["mean"]}),
        "permutation_p": permutation["p"],
        "permutation_texts": permutation["texts"],
        "permutation_exchanged": permutation["exchanged"],
        "permutation_reason": permutation["reason"],
        **estimate_values("overlap_ratio", ratio),
        "overlap_ratio_reason": ratio["reason"],
        **_by(estimate_values("overlap_ratio_even", overlap), even),
        **estimate_values("consistency_observed", consistency["observed"]),
        "consistency_expected": consistency["expected"],
        **estimate_values("error_consistency", consistency["kappa"]),
        "error_consistency_lowest": consistency["lowest"],
        "error_consistency_highest": consistency["highest"],
        "error_consistency_reason": consistency["kappa"]["reason"],
        **estimate_values("copied", consistency["copied"]),
        **estimate_values("capa", capa),
        "capa_with_invalid_pairs": capa["with_invalid_pairs"],
        "capa_reason": capa["reason"],
        **{
            column: value
            for part, name in TRANSCRIPTS.items()
            for column, value in estimate_values(
                f"correct_{name}", induced[part]["share"] if part in induced else NO_VALUE
            ).items()
        },
        **estimate_values("degraded_risk_ratio", induced.get("risk_ratio", NO_VALUE)),
        "induced_reason": induced["reason"],
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
            _interval(row, "error_consistency"),
            _interval(row, "capa"),
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


def _by(values: Mapping[str, float | None], divisor: float | None) -> dict[str, float | None]:
    return {name: None if value is None or divisor is None else value / divisor for name, value in values.items()}


def _interval(row: Mapping[str, Any], name: str) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _overlap_cells(row: Mapping[str, Any]) -> list[str]:
    if not row["overlap_informative"]:
        return [UNDEFINED] * 4
    return [
        _interval(row, "overlap"),
        f"{decimal(row['overlap_chance'])} / {decimal(row['overlap_chance_empirical'])}",
        f"{decimal(row['overlap_ratio_even'])} / {_interval(row, 'overlap_ratio')}",
        UNDEFINED
        if row["permutation_p"] is None
        else f"{_interval(row, 'overlap_permuted')} ({p_value(row['permutation_p'])})",
    ]


def _transcript_cells(row: Mapping[str, Any]) -> list[str]:
    if row["correct_clips"] is None:
        return [NOT_RUN, NOT_RUN]
    shares = f"{percent(row['correct_shared_errors'])} / {percent(row['correct_clips'])}"
    return [shares, _interval(row, "degraded_risk_ratio")]


TABLE = Table(
    name="errors",
    section="errors",
    schema=PAIR | SCHEMA,
    row=row,
    display=lambda tables, confidence: display(tables.errors, confidence),
)
