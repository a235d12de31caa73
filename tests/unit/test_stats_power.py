"""Power: the formulas against their own equations, against simulation, and the correlation against an F test."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f_oneway, norm

from cascade_equivalence.stats.accuracy import accuracy_difference
from cascade_equivalence.stats.agreement import kappa
from cascade_equivalence.stats.clustered import RatioEstimator
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.equivalence import judge
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.power import (
    NO_DISCORDANCE,
    TOO_FEW_DISCORDANT,
    EquivalencePlan,
    detectable_difference,
    intra_group_correlation,
    power,
)
from cascade_equivalence.stats.statistic import Estimate, estimate

SETTINGS = {"margin": 0.03, "confidence": 0.95}
PSI, ROWS = st.floats(0.01, 0.6), st.floats(50, 20_000)


def paired(system: np.ndarray, reference: np.ndarray, groups: np.ndarray) -> Paired:
    """Two systems that are right (0) or wrong (1) about items whose gold label is 0."""
    gold = np.zeros(len(system), dtype=np.intp)
    first, second = (np.where(right, 0, 1).astype(np.intp) for right in (system, reference))
    clusters = Clusters.of([f"{group:06}" for group in groups])
    return Paired(("a", "b", "invalid"), first, second, gold, system.astype(bool), reference.astype(bool), clusters)


def study(rng: np.random.Generator, texts: int, voices: int, discordance: float) -> Paired:
    """Texts on which the systems differ for most voices at once, in favour of either."""
    base = np.repeat(rng.random(texts) < 0.8, voices)
    differs = np.repeat(rng.random(texts) < discordance, voices) & (rng.random(texts * voices) < 0.9)
    lead = np.repeat(rng.random(texts) < 0.5, voices)
    return paired(np.where(differs, lead, base), np.where(differs, ~lead, base), np.repeat(np.arange(texts), voices))


def found_power(pair: Paired) -> dict[str, Any]:
    """Power with the intervals of the study."""
    statistics = {
        "kappa": kappa(pair),
        "difference": accuracy_difference(pair.clusters, pair.system_correct, pair.reference_correct),
    }
    found = estimate(statistics, pair.clusters.count, 0.95)
    return power(pair, found_kappa=asdict(found["kappa"]), found_difference=asdict(found["difference"]), **SETTINGS)


@given(psi=PSI, rows=ROWS, alpha=st.floats(0.001, 0.3))
@settings(deadline=None)
def test_the_detectable_difference_solves_connors_equation(psi: float, rows: float, alpha: float) -> None:
    found = detectable_difference(psi, rows, alpha)
    if found is None:
        # Not even every discordant row on one side, a difference of psi, would be enough.
        enough = norm.isf(alpha / 2) * np.sqrt(psi) + norm.ppf(0.8) * np.sqrt(psi - psi**2)
        assert psi * np.sqrt(rows) < enough
        return
    needed = norm.isf(alpha / 2) * np.sqrt(psi) + norm.ppf(0.8) * np.sqrt(psi - found**2)
    assert 0 < found <= psi and found * np.sqrt(rows) == pytest.approx(needed)


@given(psi=PSI, margin=st.floats(0.01, 0.2), wanted=st.floats(0.5, 0.99))
@settings(deadline=None)
def test_the_rows_that_equivalence_needs_have_that_power(psi: float, margin: float, wanted: float) -> None:
    plan = EquivalencePlan(psi, margin, 0.05)
    rows = plan.rows(wanted)
    assert plan.power(rows) == pytest.approx(wanted)
    assert plan.power(rows / 2) < wanted < plan.power(2 * rows)
    assert plan.margin_variance >= max(psi - margin**2, margin * (1 - margin)) - 1e-12


def test_rules_of_thumb() -> None:
    # (z + z)^2 psi / d^2, with the variance of no difference under both hypotheses.
    assert detectable_difference(0.1, 872, 0.05) == pytest.approx(0.03, abs=0.0003)
    # The same for two one-sided tests; the score test's variance at the margin asks for a little more.
    wald = (norm.isf(0.05) + norm.ppf(0.9)) ** 2 * 0.1 / 0.03**2
    assert wald < EquivalencePlan(0.1, 0.03, 0.05).rows(0.8) < 1.15 * wald


def found(pair: Paired) -> dict[str, Estimate]:
    """What a comparison has of a pair, at 90 %."""
    difference = accuracy_difference(pair.clusters, pair.system_correct, pair.reference_correct)
    return estimate({"kappa": kappa(pair), "difference": difference}, pair.clusters.count, 0.9)


def test_power_of_equivalence_is_how_often_it_is_shown() -> None:
    rng, texts = np.random.default_rng(0), 320
    pairs = [study(rng, texts, 4, 0.05) for _ in range(200)]
    shown = [
        judge(pair, **found(pair), accuracy_margin=0.03, kappa_bound=0.5, confidence=0.9)["accuracy"]["p_equivalence"]
        for pair in pairs
    ]
    every = RatioEstimator.accuracy_difference(study(rng, 40_000, 4, 0.05))
    effect = every.design_effect(every.value)
    planned = EquivalencePlan(0.05 * 0.9, 0.03, 0.05, effect, copies=4).power(texts * 4)
    assert 0.3 < planned < 0.9
    assert np.mean(np.array(shown) < 0.05) == pytest.approx(planned, abs=0.12)


@pytest.mark.parametrize("seed", range(4))
def test_correlation_is_that_of_the_f_test_and_makes_the_design_effect(seed: int) -> None:
    pair = study(np.random.default_rng(seed), 200, 5, 0.2)
    estimator = RatioEstimator.accuracy_difference(pair)
    by_text = estimator.top.reshape(200, 5)
    ratio = f_oneway(*by_text).statistic
    found = intra_group_correlation(estimator)
    assert found == pytest.approx((ratio - 1) / (ratio + 4))
    assert found_power(pair)["design_effect"] == pytest.approx(1 + 4 * found, rel=0.02)


def test_correlation_of_groups_of_any_size() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 12, 4000)
    groups = np.repeat(np.arange(4000), sizes)
    values = rng.normal(size=4000)[groups] + rng.normal(size=len(groups))
    estimator = RatioEstimator(values, np.ones(len(groups)), Clusters(groups, 4000))
    assert intra_group_correlation(estimator) == pytest.approx(0.5, abs=0.03)


def test_repeated_rows_change_neither_power_nor_the_texts_it_needs() -> None:
    once = study(np.random.default_rng(2), 300, 1, 0.1)
    columns = ("system", "reference", "gold", "system_correct", "reference_correct")
    clusters = Clusters(np.repeat(once.clusters.index, 6), 300)
    six = replace(once, **{name: np.repeat(getattr(once, name), 6) for name in columns}, clusters=clusters)
    found, often = found_power(once), found_power(six)
    assert (found["icc"], found["design_effect"]) == (None, 1)
    assert (often["icc"], often["design_effect"], often["kappa_design_effect"]) == pytest.approx((1, 6, 6))
    for name in ("detectable_difference", "equivalence_power", "groups_for_80", "difference_half_width"):
        assert often[name] == pytest.approx(found[name])
    assert often["groups_for_90"] > often["groups_for_80"]
    # The interval is as wide as it was, but was planned to be narrower by the square root of six.
    assert often["kappa_half_width_planned"] == pytest.approx(found["kappa_half_width_planned"] / np.sqrt(6))
    assert often["difference_half_width"] > 2 * often["difference_half_width_planned"]


def test_independent_rows_achieve_what_was_planned() -> None:
    found = found_power(study(np.random.default_rng(3), 1500, 1, 0.15))
    for name in ("difference_half_width", "kappa_half_width"):
        assert found[name] == pytest.approx(found[f"{name}_planned"], rel=0.06)
    json.dumps(found, allow_nan=False)


def test_what_is_missing_has_a_reason() -> None:
    right = np.ones(40, dtype=bool)
    agreed = found_power(paired(right, right, np.arange(40)))
    assert agreed["reason"] == NO_DISCORDANCE and agreed["groups_for_80"] is agreed["detectable_difference"] is None
    apart = found_power(paired(np.arange(60) // 6 % 2 == 0, np.arange(60) // 6 % 2 == 0, np.arange(60) // 6))
    assert apart["kappa_design_effect"] == 6  # nothing but agreement, which could be that of copies
    assert (
        agreed["difference_half_width_planned"] is agreed["kappa_half_width_planned"] is None
    )  # both gave one and the same answer
    alone = found_power(paired(right, ~right, np.zeros(40, dtype=int)))
    assert "one group" in alone["reason"] and alone["design_effect"] is None and alone["difference_half_width"] is None
    one = right.copy()
    one[0] = False
    few = found_power(paired(right, one, np.arange(40)))
    assert few["reason"] == TOO_FEW_DISCORDANT and few["detectable_difference"] is None and few["groups_for_80"] > 40
    for found in (agreed, alone, few):
        json.dumps(found, allow_nan=False)


def test_groups_that_do_not_differ_at_all_promise_no_more_than_independent_rows() -> None:
    # In every group each system alone is right once: the groups' sums do not vary.
    correct = np.array([[1, 0], [0, 1]] * 3, dtype=bool)
    labels = pl.DataFrame(
        {
            "id": [str(number) for number in range(6)],
            "voice": "v",
            "group": ["a", "a", "b", "b", "c", "c"],
            "label": "x",
            "system_parsed": np.where(correct[:, 0], "x", "y"),
            "system_correct": correct[:, 0],
            "reference_parsed": np.where(correct[:, 1], "x", "y"),
            "reference_correct": correct[:, 1],
        }
    )
    none = {"value": 0.0, "low": None, "high": None}
    found = power(
        Paired.of(labels, ["x", "y"]),
        found_kappa=none,
        found_difference=none,
        margin=0.1,
        confidence=0.95,
    )
    assert found["design_effect"] == 1.0 and found["groups_for_90"] >= found["groups_for_80"] > 3
