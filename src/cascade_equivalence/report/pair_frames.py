"""The tidy tables of agreement and of contrasts, from the agreement and the contrast nodes' files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report import pair_tables, retest_table
from cascade_equivalence.report.columns import PAIR, PLACE, Schema, estimate_schema, estimate_values, place_values
from cascade_equivalence.report.naming import NodeFile, Outline
from cascade_equivalence.report.table import Table
from cascade_equivalence.report.tests_table import CORRECTED

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

CONTRAST_ARMS = ("system", "first", "second")
AGREEMENT: Schema = {
    **PAIR,
    **estimate_schema("kappa"),
    "kappa_reason": pl.String,
    **estimate_schema("observed_agreement"),
    **estimate_schema("accuracy_difference"),
    "only_system_right": pl.Int64,
    "only_reference_right": pl.Int64,
    "mcnemar_p": pl.Float64,
    "mcnemar_method": pl.String,
    "mcnemar_p_adjusted": pl.Float64,
    "row_test_size": pl.Float64,
    "clustered_p": pl.Float64,
    "clustered_p_adjusted": pl.Float64,
    "accuracies_differ": pl.Boolean,
    "both_wrong": pl.Int64,
    "same_wrong": pl.Int64,
    **estimate_schema("overlap"),
    "overlap_reason": pl.String,
    "overlap_informative": pl.Boolean,
    "overlap_chance": pl.Float64,
    "overlap_chance_empirical": pl.Float64,
    "system_against_chance": pl.String,
    "reference_against_chance": pl.String,
    **retest_table.BESIDE,
}
CONTRASTS: Schema = {
    "contrast": pl.String,
    "system": pl.String,
    "first": pl.String,
    "second": pl.String,
    "match_first": pl.String,
    "match_second": pl.String,
    **PLACE,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate_schema("kappa_first"),
    **estimate_schema("kappa_second"),
    **estimate_schema("kappa_difference"),
    "p": pl.Float64,
    "p_adjusted": pl.Float64,
    "agreements_differ": pl.Boolean,
    "reason": pl.String,
    **estimate_schema("observed_difference"),
    "system_against_chance": pl.String,
    "first_against_chance": pl.String,
    "second_against_chance": pl.String,
}


def _agreement(found: Mapping[str, Any]) -> dict[str, Any]:
    test, overlap = found["mcnemar"], found["overlap"]
    return {
        **estimate_values("kappa", found["kappa"]),
        "kappa_reason": found["kappa"]["reason"],
        **estimate_values("observed_agreement", found["observed_agreement"]),
        **estimate_values("accuracy_difference", found["accuracy_difference"]),
        "only_system_right": test["b"],
        "only_reference_right": test["c"],
        "mcnemar_p": test["p"],
        "mcnemar_method": test["method"],
        "row_test_size": found["tests"]["row_test"]["size"],
        "clustered_p": found["tests"]["clustered"]["p"],
        "both_wrong": overlap["both_wrong"],
        "same_wrong": overlap["same_wrong"],
        **estimate_values("overlap", overlap),
        "overlap_reason": overlap["reason"],
        "overlap_informative": overlap["informative"],
        "overlap_chance": overlap["chance"]["uniform"]["value"],
        "overlap_chance_empirical": overlap["chance"]["empirical"]["value"],
        "system_against_chance": found["system"]["against_chance"],
        "reference_against_chance": found["reference"]["against_chance"],
    }


def _compared(results: "Results") -> pl.DataFrame:
    """With corrected p-values, and how far systems agree with themselves."""
    from cascade_equivalence.report.families import correct

    rows = results.pairs["agreement"]
    correct(rows, CORRECTED, results.statistics)
    for row in rows:
        # By texts: the paper's test of clips finds differences that are not there.
        p = row["clustered_p_adjusted"]
        row["accuracies_differ"] = None if p is None else p <= results.statistics.fdr
    return retest_table.beside(results.in_order(AGREEMENT_TABLE), results["retest"])


def contrasts_frame(files: Mapping[NodeFile, Path], outline: Outline, statistics: StatisticsConfig) -> pl.DataFrame:
    """The table of contrasts, sorted for a reader.

    Args:
        files: What ``contrast`` gave, and the matches.
        outline: Names and order.
        statistics: False discovery rate and families of the tests.
    """
    from cascade_equivalence.report.families import correct

    rows: list[dict[str, Any]] = []
    for node, path in files.items():
        found = json.loads(path.read_text(encoding="utf-8"))
        system, first, second = node.names
        row = {
            "contrast": outline.contrast_label(system, first, second),
            "system": system,
            "first": first,
            "second": second,
            "match_first": found["match_first"],
            "match_second": found["match_second"],
            **place_values(node),
            "rows": found["rows"],
            "groups": found["groups"],
            **estimate_values("kappa_first", found["first"]["kappa"]),
            **estimate_values("kappa_second", found["second"]["kappa"]),
            **estimate_values("kappa_difference", found["kappa_difference"]),
            "p": _p_of_zero(found["kappa_difference"], statistics.confidence),
            "reason": found["kappa_difference"]["reason"],
            **estimate_values("observed_difference", found["observed_difference"]),
        }
        rows.append(row | {f"{arm}_against_chance": found[arm]["against_chance"] for arm in CONTRAST_ARMS})
    correct(rows, ("p",), statistics)
    for row in rows:
        row["agreements_differ"] = None if row["p_adjusted"] is None else row["p_adjusted"] <= statistics.fdr
    return outline.sort(pl.DataFrame(rows, schema=CONTRASTS, orient="row"))


def _p_of_zero(found: Mapping[str, Any], confidence: float) -> float | None:
    from cascade_equivalence.stats.equivalence import p_of_interval

    return p_of_interval(found["value"], found["low"], found["high"], 0.0, confidence)


AGREEMENT_TABLE = Table(
    name="agreement",
    section="agreement",
    schema=AGREEMENT,
    row=_agreement,
    build=_compared,
    display=lambda tables, confidence: pair_tables.agreement(tables.agreement, confidence),
)
CONTRASTS_TABLE = Table(
    name="contrasts",
    section="agreement",
    schema=CONTRASTS,
    build=lambda results: contrasts_frame(results.contrasts, results.outline, results.statistics),
    display=lambda tables, confidence: pair_tables.contrasts(tables.contrasts, tables.agreement, confidence),
    planned=lambda study: bool(study.config.contrasts),
)
