"""The tidy tables of pairs and of contrasts, from the agreement and the contrast nodes' files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.conditions import parse_condition
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report import (
    equivalence_table,
    errors_table,
    indices_table,
    power_table,
    retest_table,
    tests_table,
)
from cascade_equivalence.report.columns import PLACE, Schema, estimate, spread
from cascade_equivalence.report.families import correct
from cascade_equivalence.report.naming import Node, Outline
from cascade_equivalence.stats.equivalence import p_of_interval

CONTRAST_ARMS = ("system", "first", "second")
PAIR: Schema = {
    "pair": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "system_kind": pl.String,
    "reference_kind": pl.String,
    "match": pl.String,
    **PLACE,
    "rows": pl.Int64,
    "groups": pl.Int64,
}
AGREEMENT: Schema = {
    **PAIR,
    **estimate("kappa"),
    "kappa_reason": pl.String,
    **estimate("observed_agreement"),
    **estimate("accuracy_difference"),
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
    **estimate("overlap"),
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
    **estimate("kappa_first"),
    **estimate("kappa_second"),
    **estimate("kappa_difference"),
    "p": pl.Float64,
    "p_adjusted": pl.Float64,
    "agreements_differ": pl.Boolean,
    "reason": pl.String,
    **estimate("observed_difference"),
    "system_against_chance": pl.String,
    "first_against_chance": pl.String,
    "second_against_chance": pl.String,
}
PARTS: dict[str, tuple[Schema, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "indices": (indices_table.SCHEMA, indices_table.row),
    "tests": (tests_table.SCHEMA, tests_table.row),
    "equivalence": (equivalence_table.SCHEMA, equivalence_table.row),
    "power": (power_table.SCHEMA, power_table.row),
    "errors": (errors_table.SCHEMA, errors_table.row),
}
"""Tables beside the agreement, one row a pair, task and condition: their columns, and how a row is read."""
TESTS = ("mcnemar_p", "clustered_p")


def pair_schemas() -> dict[str, Schema]:
    """Columns of each table of pairs."""
    return {"agreement": AGREEMENT, **{name: PAIR | schema for name, (schema, _) in PARTS.items()}}


def pair_frames(files: Mapping[Node, Path], outline: Outline, statistics: StatisticsConfig) -> dict[str, pl.DataFrame]:
    """The tables of pairs, each sorted for a reader.

    Args:
        files: ``.../{system}~{reference}/{task}/{condition}.json``.
        outline: Names and order.
        statistics: False discovery rate and families of the tests.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in pair_schemas()}
    for node, path in files.items():
        found = json.loads(path.read_text(encoding="utf-8"))
        pair = _pair(node, found, outline)
        rows["agreement"].append(pair | _agreement(found))
        for name, (_, read) in PARTS.items():
            rows[name].append(pair | read(found))
    for table in ("agreement", "tests"):
        correct(rows[table], TESTS, statistics)
    for row in rows["agreement"]:
        # By texts: the paper's test of clips finds differences that are not there.
        p = row["clustered_p_adjusted"]
        row["accuracies_differ"] = None if p is None else p <= statistics.fdr
    return {
        name: outline.sort(pl.DataFrame(rows[name], schema=schema, orient="row"))
        for name, schema in pair_schemas().items()
    }


def _pair(node: Node, found: Mapping[str, Any], outline: Outline) -> dict[str, Any]:
    system, reference = node.names
    return {
        "pair": outline.pair_label(system, reference),
        "system": system,
        "reference": reference,
        "system_kind": outline.parts(system)["kind"],
        "reference_kind": outline.parts(reference)["kind"],
        "match": found["match"],
        **place(node),
        "rows": found["rows"],
        "groups": found["groups"],
    }


def _agreement(found: Mapping[str, Any]) -> dict[str, Any]:
    test, overlap = found["mcnemar"], found["overlap"]
    return {
        **spread("kappa", found["kappa"]),
        "kappa_reason": found["kappa"]["reason"],
        **spread("observed_agreement", found["observed_agreement"]),
        **spread("accuracy_difference", found["accuracy_difference"]),
        "only_system_right": test["b"],
        "only_reference_right": test["c"],
        "mcnemar_p": test["p"],
        "mcnemar_method": test["method"],
        "row_test_size": found["tests"]["row_test"]["size"],
        "clustered_p": found["tests"]["clustered"]["p"],
        "both_wrong": overlap["both_wrong"],
        "same_wrong": overlap["same_wrong"],
        **spread("overlap", overlap),
        "overlap_reason": overlap["reason"],
        "overlap_informative": overlap["informative"],
        "overlap_chance": overlap["chance"]["uniform"]["value"],
        "overlap_chance_empirical": overlap["chance"]["empirical"]["value"],
        "system_against_chance": found["system"]["against_chance"],
        "reference_against_chance": found["reference"]["against_chance"],
    }


def contrasts_frame(files: Mapping[Node, Path], outline: Outline, statistics: StatisticsConfig) -> pl.DataFrame:
    """The table of contrasts, sorted for a reader.

    Args:
        files: ``.../{system}~{first}~{second}/{task}/{condition}.json``.
        outline: Names and order.
        statistics: False discovery rate and families of the tests.
    """
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
            **place(node),
            "rows": found["rows"],
            "groups": found["groups"],
            **spread("kappa_first", found["first"]["kappa"]),
            **spread("kappa_second", found["second"]["kappa"]),
            **spread("kappa_difference", found["kappa_difference"]),
            "p": _p_of_zero(found["kappa_difference"], statistics.confidence),
            "reason": found["kappa_difference"]["reason"],
            **spread("observed_difference", found["observed_difference"]),
        }
        rows.append(row | {f"{arm}_against_chance": found[arm]["against_chance"] for arm in CONTRAST_ARMS})
    correct(rows, ("p",), statistics)
    for row in rows:
        row["agreements_differ"] = None if row["p_adjusted"] is None else row["p_adjusted"] <= statistics.fdr
    return outline.sort(pl.DataFrame(rows, schema=CONTRASTS, orient="row"))


def _p_of_zero(found: Mapping[str, Any], confidence: float) -> float | None:
    return p_of_interval(found["value"], found["low"], found["high"], 0.0, confidence)


def place(node: Node) -> dict[str, Any]:
    """Task and condition of a node."""
    known = parse_condition(node.condition)
    level = {"noise": known.kind, "snr_db": known.snr_db, "rt60_ms": known.rt60_ms}
    return {"task": node.task, "condition": node.condition, **level}
