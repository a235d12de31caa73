"""The tables on tests, equivalence and power: their columns, their words, what is left out and what is missing."""

import itertools
import json
from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from report_study import cells_of

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report import equivalence_table, power_table, tests_table
from cascade_equivalence.report.columns import Schema
from cascade_equivalence.report.display import UNDEFINED, markdown
from cascade_equivalence.report.equivalence_verdicts import CEILING, with_verdicts
from cascade_equivalence.report.pair_frames import CONTRAST_SCHEMA
from cascade_equivalence.stats import equivalence
from cascade_equivalence.stats.accuracy import accuracy_difference
from cascade_equivalence.stats.agreement import kappa
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.power import power
from cascade_equivalence.stats.statistic import estimate

TABLES = [tests_table, equivalence_table, power_table]
BOUNDS = {"accuracy_margin": 0.03, "kappa_bound": 0.8, "confidence": 0.95}
LABELS = ["a", "b"]


def found_of(seed: int, texts: int, differs: float) -> dict[str, Any]:
    """What the node of a made-up pair holds."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2, texts)
    reference = np.where(rng.random(texts) < 0.8, gold, 1 - gold)
    system = np.where(rng.random(texts) < differs, rng.integers(0, 2, texts), reference)
    answers = {name: [LABELS[i] for i in codes] for name, codes in (("system", system), ("reference", reference))}
    joined = pl.DataFrame(
        {
            "group": [f"{i:05}" for i in range(texts)],
            "label": [LABELS[i] for i in gold],
            **{f"{name}_parsed": parsed for name, parsed in answers.items()},
            "system_correct": system == gold,
            "reference_correct": reference == gold,
        }
    )
    pair = Paired.of(joined, LABELS)
    estimates = estimate(
        {
            "kappa": kappa(pair),
            "difference": accuracy_difference(pair.clusters, pair.system_correct, pair.reference_correct),
        },
        texts,
        0.95,
    )
    planned = power(
        pair,
        found_kappa=asdict(estimates["kappa"]),
        found_difference=asdict(estimates["difference"]),
        margin=0.03,
        confidence=0.95,
    )
    found = {
        "rows": texts,
        "groups": texts,
        "tests": equivalence.tests(pair, 0.05),
        "equivalence": equivalence.judge(pair, **estimates, **BOUNDS),
        "power": planned,
    }
    return json.loads(json.dumps(found, allow_nan=False))


NODES = {
    ("talker", "cascade", "ag_news", "clean"): found_of(0, 4000, 0.02),
    ("talker", "other", "sst2", "clean"): found_of(1, 400, 0.7),
    ("alone", "cascade", "sst2", "clean"): found_of(2, 1, 0.0),
    ("talker", "cascade", "sst2", "snr0"): found_of(3, 400, 0.3),
}


def columns_of(module: ModuleType) -> Schema:
    """Columns beside those of every pair."""
    return {name: cell.kind for name, cell in module.TABLE.columns.items()}


def frame(module: ModuleType, nodes: dict = NODES) -> pl.DataFrame:
    """A tidy table with the columns of pairs in front."""
    rows = [
        {"system": system, "reference": reference, "match": "exact", "task": task, "condition": condition}
        | {"rows": found["rows"], "groups": found["groups"]}
        | cells_of(module.TABLE, found)
        for (system, reference, task, condition), found in nodes.items()
    ]
    front = dict.fromkeys(("system", "reference", "match", "task", "condition"), pl.String)
    schema = {**front, "rows": pl.Int64, "groups": pl.Int64, **columns_of(module)}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    if module is not equivalence_table:
        return table
    kinds = table.select("system", "reference", "match").with_columns(system_kind=pl.lit("e2e"))
    pairs = kinds.with_columns(reference_kind=pl.lit("cascade"))
    return with_verdicts(table, pairs, pl.DataFrame(schema=CONTRAST_SCHEMA), StatisticsConfig())


@pytest.mark.parametrize("module", TABLES)
def test_rows_have_the_columns_of_the_schema_in_order(module: ModuleType) -> None:
    for found in NODES.values():
        assert list(cells_of(module.TABLE, found)) == list(columns_of(module))
    table = frame(module)
    assert not any(table[name].is_nan().any() for name, kind in columns_of(module).items() if kind is pl.Float64)


def numbered(value: Any, counter: itertools.count) -> Any:
    """The same structure with another number in every place."""
    if isinstance(value, dict):
        return {
            name: f"word {next(counter)}" if name in ("reason", "method") else numbered(part, counter)
            for name, part in value.items()
        }
    return next(counter)


def test_every_column_has_a_place_of_its_own_in_the_node() -> None:
    found = numbered(NODES["talker", "other", "sst2", "clean"], itertools.count())
    tests, judged, planned = (found[name] for name in ("tests", "equivalence", "power"))
    row = cells_of(tests_table.TABLE, found)
    for column, place in (("mcnemar_p", "p"), ("exact_p", "exact"), ("mid_p", "mid_p"), ("only_system_right", "b")):
        assert row[column] == tests[place]
    assert (row["clustered_p"], row["permutation_p"]) == (tests["clustered"]["p"], tests["permutation"]["p"])
    row = cells_of(equivalence_table.TABLE, found)
    for column in ("tango_low", "tango_high", "p_equivalence", "p_difference"):
        assert row[column] == judged["accuracy"][column]
    for part, column in (("accuracy", "accuracy_difference"), ("kappa", "kappa")):
        for end in ("low", "high"):
            assert row[f"{column}_{end}"] == judged[part][end]
    assert cells_of(power_table.TABLE, found) == {
        ("power_reason" if name == "reason" else name): value for name, value in planned.items() if name != "confidence"
    }
    for module in TABLES:
        values = [value for value in cells_of(module.TABLE, found).values() if value is not None]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("module", TABLES)
def test_displays_show_clean_speech_and_every_cell_has_a_column(module: ModuleType) -> None:
    shown = module.display(frame(module), 0.95)
    assert len(shown.rows) == 3
    assert all(len(row) == len(shown.columns) and all(isinstance(cell, str) for cell in row) for row in shown.rows)
    assert shown.name in ("tests", "equivalence", "power") and markdown(shown)
    assert not any(word in cell for row in shown.rows for cell in row for word in ("None", "nan"))


@pytest.mark.parametrize("module", TABLES)
def test_an_empty_table_has_an_empty_display(module: ModuleType) -> None:
    shown = module.display(frame(module, {}), 0.95)
    assert shown.rows == [] and shown.remarks


def test_verdicts_are_in_words_with_the_bounds_in_the_title() -> None:
    shown = equivalence_table.display(frame(equivalence_table), 0.95)
    assert "±3 points" in shown.title and "0.1 below" in shown.title
    together, accuracies, answers = (
        shown.columns.index(name) for name in ("Together", "Accuracies", "Answers, κ against 0.8")
    )
    alike, apart, alone = shown.rows
    assert (alike[together], alike[answers]) == ("equivalent", "the same")
    assert alike[accuracies].startswith("equal")
    assert (apart[together], apart[answers]) == ("different", "other answers")
    assert alone[together] == alone[answers] == alone[accuracies] == UNDEFINED
    assert any("one group" in remark for remark in shown.remarks)


def test_every_verdict_has_words_of_its_own() -> None:
    for words in (equivalence_table.ACCURACY_WORDS, equivalence_table.KAPPA_WORDS, equivalence_table.WORDS):
        assert len(set(words.values())) == len(words)
    assert {
        equivalence.overall_verdict(accuracy, answers)
        for accuracy in equivalence_table.ACCURACY_WORDS
        for answers in equivalence_table.KAPPA_WORDS
    } | {CEILING} == set(equivalence_table.WORDS)


def test_adjusted_p_values_are_shown_where_there_are_some() -> None:
    table = frame(tests_table)
    column = tests_table.display(table, 0.95).columns.index("Clustered p (adjusted)")
    assert all("(" not in row[column] for row in tests_table.display(table, 0.95).rows)
    adjusted = table.with_columns(clustered_p_adjusted=pl.lit(0.5))
    assert tests_table.display(adjusted, 0.95).rows[1][column].endswith("(0.500)")


def test_missing_power_says_why() -> None:
    shown = power_table.display(frame(power_table), 0.95)
    assert UNDEFINED in shown.rows[2] and any("one group" in remark for remark in shown.remarks)
