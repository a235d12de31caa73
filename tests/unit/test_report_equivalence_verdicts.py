"""Verdicts against the ceiling, and what is corrected over what."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from cascade_equivalence.config.statistics import FamilyConfig, StatisticsConfig
from cascade_equivalence.report.equivalence_verdicts import CEILING, with_verdicts
from cascade_equivalence.report.families import correct
from cascade_equivalence.report.table import TABLES

SURE = {"accuracy_margin": 0.05, "accuracy_difference": 0.0, "accuracy_difference_low": -0.01}
SURE |= {"accuracy_difference_high": 0.01, "p_difference": 0.9, "p_equivalence": 1e-4, "kappa_bound": 0.8}


def pair(system: str, reference: str, kappa: tuple[float | None, ...], kind: str = "e2e") -> dict[str, Any]:
    """A row of pairs with sure equality of accuracies and a given kappa with its interval."""
    ends = dict(zip(("kappa", "kappa_low", "kappa_high"), kappa, strict=True))
    place = {"task": "sst2", "condition": "clean", "rows": 60, "groups": 60, "match": "exact"}
    kinds = {"system_kind": kind, "reference_kind": "cascade"}
    return {"system": system, "reference": reference} | place | kinds | SURE | ends


def contrast(system: str, first: str, second: str, gap: tuple[float | None, ...]) -> dict[str, Any]:
    """A row of contrasts: kappa with the first minus kappa with the second."""
    ends = dict(zip(("kappa_difference", "kappa_difference_low", "kappa_difference_high"), gap, strict=True))
    place = {"task": "sst2", "condition": "clean", "rows": 60, "groups": 60}
    return {"system": system, "first": first, "second": second} | place | ends


def judged(rows: list[dict[str, Any]], contrasts: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    """Rows of the equivalence table with their verdicts."""

    def table(schema: dict[str, Any], made: list[dict[str, Any]]) -> pl.DataFrame:
        return pl.DataFrame([{key: row.get(key) for key in schema} for row in made], schema=schema, orient="row")

    found = with_verdicts(
        table(TABLES["equivalence"].schema, rows),
        table(TABLES["agreement"].schema, rows),
        table(TABLES["contrasts"].schema, contrasts),
        StatisticsConfig(**options),
    )
    return found.rows(named=True)


LOW = (0.7, 0.6, 0.78)


@pytest.mark.parametrize("turned", [False, True])
def test_a_gap_without_a_value_hides_none_that_has_one(turned: bool) -> None:
    tops = [pair("base", "oracle", LOW, "cascade"), pair("base", "tiny", LOW, "cascade")]
    gaps = [
        contrast("base", "talker", "oracle", (None, None, None)),
        contrast("base", "talker", "tiny", (0, -0.05, 0.05)),
    ]
    found, *_ = judged([pair("talker", "base", LOW), *tops], gaps[::-1] if turned else gaps)
    assert found["ceiling"] == "base vs. tiny" and found["gap"] == 0 and found["verdict"] == "equivalent"
    only, *_ = judged([pair("talker", "base", LOW), *tops], gaps[:1])
    assert only["ceiling"] == "base vs. oracle" and only["gap"] is None


def test_a_ceiling_is_equivalent_where_that_is_shown_and_else_a_ceiling() -> None:
    sure, low = judged([pair("base", "oracle", (0.95, 0.9, 0.98), "cascade"), pair("base", "tiny", LOW, "cascade")], [])
    assert sure["verdict"] == "equivalent" and low["verdict"] == CEILING
    told, _ = judged([pair("talker", "base", LOW), pair("base", "oracle", LOW, "cascade")], [])
    assert told["verdict"] not in (CEILING, "equivalent")


def test_a_kappa_below_the_bound_but_near_the_ceiling_is_equivalent() -> None:
    top = pair("base", "oracle", LOW, "cascade")
    alone, _ = judged([pair("talker", "base", LOW), top], [])
    assert alone["verdict"] == "accuracy only" and alone["ceiling"] is None and alone["gap_reason"]
    near, ceiling = judged([pair("talker", "base", LOW), top], [contrast("base", "talker", "oracle", (0, -0.05, 0.05))])
    assert near["verdict"] == "equivalent" and near["ceiling"] == "base vs. oracle"
    assert near["gap_verdict"] == "above" and near["kappa_verdict"] == "below"
    assert ceiling["verdict"] == CEILING


@given(value=st.floats(-0.9, 0.9), down=st.floats(0.01, 0.1), up=st.floats(0.01, 0.1))
@settings(max_examples=30, deadline=None)
def test_the_order_of_a_contrast_does_not_matter(value: float, down: float, up: float) -> None:
    rows = [pair("talker", "base", LOW), pair("base", "oracle", LOW, "cascade")]
    one, _ = judged(rows, [contrast("base", "talker", "oracle", (value, value - down, value + up))])
    other, _ = judged(rows, [contrast("base", "oracle", "talker", (-value, -value - up, -value + down))])
    for name in ("gap", "gap_low", "gap_high", "p_gap"):
        assert one[name] == pytest.approx(other[name], abs=1e-12)
    assert one["verdict"] == other["verdict"]


@pytest.mark.parametrize("kappa", [LOW, (0.1, 0.0, 0.2), (0.99, 0.9, 1.0)])
def test_a_ceiling_is_never_called_different(kappa: tuple[float, float, float]) -> None:
    (found,) = judged([pair("base", "oracle", kappa, "cascade")], [])
    assert found["verdict"] in (CEILING, "equivalent")


def test_what_is_called_below_is_corrected_for_the_number_of_pairs() -> None:
    barely = (0.7, 0.6, 0.799)
    (alone,) = judged([pair("talker", "base", barely)], [])
    assert alone["kappa_verdict"] == "below"
    many = judged([pair(f"talker{i}", "base", barely if not i else (0.82, 0.7, 0.9)) for i in range(20)], [])
    assert many[0]["kappa_verdict"] == "inconclusive" and many[0]["p_below_adjusted"] > 0.05


@given(p=st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=12), apart=st.booleans())
@settings(max_examples=50, deadline=None)
def test_families_are_corrected_as_statsmodels_has_it(p: list[float | None], apart: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"system": f"s{i}", "reference": "r", "task": "sst2", "condition": "clean", "p": each}
        for i, each in enumerate(p)
    ]
    config = StatisticsConfig(family_apart=FamilyConfig(pairs=["s0~r"]) if apart else None)
    correct(rows, ("p",), config)
    for part in [rows[:1], rows[1:]] if apart else [rows]:
        there = [row for row in part if row["p"] is not None]
        if there:
            expected = multipletests([row["p"] for row in there], method="fdr_bh")[1]
            assert [row["p_adjusted"] for row in there] == pytest.approx(expected.tolist())
        assert all(row["p_adjusted"] is None for row in part if row["p"] is None)
