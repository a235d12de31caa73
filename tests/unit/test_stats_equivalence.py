"""Verdicts of equivalence: their logic, their independence of repeated rows, and their limits against statsmodels."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.weightstats import ttost_paired

from cascade_equivalence.stats import equivalence, tango
from cascade_equivalence.stats.accuracy import accuracy_difference
from cascade_equivalence.stats.agreement import UNDEFINED, count_table, kappa
from cascade_equivalence.stats.clustered import RatioEstimator
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.equivalence import (
    accuracy_verdict,
    judge,
    kappa_verdict,
    overall_verdict,
    p_of_interval,
)
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate
from cascade_equivalence.vocabulary import FEWEST_GROUPS

LABELS = ("a", "b", "c", "invalid")
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)
BOUNDS = {"accuracy_margin": 0.03, "kappa_bound": 0.8, "confidence": 0.9}
ALPHA = 0.05
SHARE = st.floats(-1, 1)


def paired(rows: list[tuple[int, int, int]] | np.ndarray, groups: list[int] | np.ndarray | None = None) -> Paired:
    """Pairs from (gold, system's answer, reference's answer), one group a row unless groups are given."""
    gold, system, reference = np.array(rows, dtype=np.intp).T
    names = range(len(gold)) if groups is None else groups
    clusters = Clusters.of([f"{group:06}" for group in names])
    return Paired(LABELS, system, reference, gold, gold == system, gold == reference, clusters)


def repeated(pair: Paired, times: int) -> Paired:
    """Every row again and again, in its own group."""
    columns = ("system", "reference", "gold", "system_correct", "reference_correct")
    clusters = Clusters(np.repeat(pair.clusters.index, times), pair.clusters.count)
    return replace(pair, **{name: np.repeat(getattr(pair, name), times) for name in columns}, clusters=clusters)


def study(rng: np.random.Generator, texts: int, voices: int, differs: float, lead: float = 0.5) -> Paired:
    """Texts that all voices read alike but for a few; a differing text favours the system with probability ``lead``."""
    gold = rng.integers(0, 3, texts)
    right = np.where(rng.random(texts) < 0.8, gold, (gold + 1) % 3)
    wrong = (gold + 1 + rng.integers(0, 2, texts)) % 3
    differ, leads = rng.random(texts) < differs, rng.random(texts) < lead
    system = np.where(differ, np.where(leads, gold, wrong), right)
    reference = np.where(differ, np.where(leads, wrong, gold), right)
    rows = np.repeat(np.stack([gold, system, reference], axis=1), voices, axis=0)
    flukes = rng.random((len(rows), 2)) < 0.02
    rows[:, 1:] = np.where(flukes, 3, rows[:, 1:])
    return paired(rows, np.repeat(np.arange(texts), voices))


def judged(pair: Paired, *, confidence: float, **bounds: float) -> dict[str, Any]:
    """What a pair is judged by, from the estimates that a comparison has."""
    difference = accuracy_difference(pair.clusters, pair.system_correct, pair.reference_correct)
    found = estimate({"kappa": kappa(pair), "difference": difference}, pair.clusters.count, confidence)
    return judge(pair, kappa=found["kappa"], difference=found["difference"], **bounds, confidence=confidence)


def verdicts(found: dict[str, Any]) -> tuple[str, str, str]:
    """On accuracy, on answers and together, of a test that stands alone: there is nothing to correct for."""
    accuracy, answers = found["accuracy"], found["kappa"]
    of_accuracy = accuracy_verdict(
        accuracy["low"], accuracy["high"], accuracy["margin"], accuracy["p_difference"], ALPHA
    )
    p = p_of_interval(answers["value"], answers["low"], answers["high"], answers["bound"], BOUNDS["confidence"])
    of_kappa = kappa_verdict(answers["low"], answers["high"], answers["bound"], p, 0.1)
    return of_accuracy, of_kappa, overall_verdict(of_accuracy, of_kappa)


@given(low=SHARE, width=st.floats(0, 1), margin=st.floats(0.001, 0.5), p=st.floats(0, 1), alpha=st.floats(0.01, 0.4))
@settings(deadline=None)
def test_accuracy_verdict_follows_from_the_interval_and_the_test(
    low: float, width: float, margin: float, p: float, alpha: float
) -> None:
    high = low + width
    found = accuracy_verdict(low, high, margin, p, alpha)
    assert found == accuracy_verdict(-high, -low, margin, p, alpha)
    assert (found in ("equivalent", "both")) == (max(abs(low), abs(high)) < margin)
    assert (found in ("different", "both")) == (p <= alpha)
    assert found != "undefined"


@given(low=SHARE, width=st.floats(0, 1), bound=st.floats(0.01, 0.99), p=st.floats(0, 1))
@settings(deadline=None)
def test_kappa_verdict_says_on_which_side_the_whole_interval_lies(
    low: float, width: float, bound: float, p: float
) -> None:
    found = kappa_verdict(low, low + width, bound, p, ALPHA)
    assert (found == "above") == (low > bound)
    assert (found == "below") == (low + width < bound and p <= ALPHA)
    assert found in ("above", "below", "inconclusive")


@given(value=SHARE, down=st.floats(0.01, 1), up=st.floats(0.01, 1), level=st.floats(0.5, 0.99), bound=SHARE)
@settings(deadline=None)
def test_p_of_an_interval_is_its_level_at_a_limit_and_smaller_beyond_it(
    value: float, down: float, up: float, level: float, bound: float
) -> None:
    low, high = value - down, value + up
    for limit in (low, high):
        assert p_of_interval(value, low, high, limit, level) == pytest.approx(1 - level)
    assert p_of_interval(value, low, high, value, level) == pytest.approx(1)
    p = p_of_interval(value, low, high, bound, level)
    assert p is not None and (p < 1 - level - 1e-9) <= (bound < low or bound > high) <= (p < 1 - level + 1e-9)
    assert p_of_interval(None, None, None, bound, level) is None


@pytest.mark.parametrize(
    ("accuracy", "answers", "expected"),
    [
        ("equivalent", "above", "equivalent"),
        ("both", "above", "equivalent"),
        ("equivalent", "below", "accuracy only"),
        ("both", "below", "accuracy only"),
        ("different", "above", "different"),
        ("different", "undefined", "different"),
        ("inconclusive", "below", "different"),
        ("inconclusive", "above", "inconclusive"),
        ("equivalent", "inconclusive", "inconclusive"),
        ("inconclusive", "inconclusive", "inconclusive"),
        ("equivalent", "undefined", "undefined"),
        ("undefined", "undefined", "undefined"),
    ],
)
def test_overall_verdict(accuracy: str, answers: str, expected: str) -> None:
    assert overall_verdict(accuracy, answers) == expected


@given(rows=ROWS, groups=st.lists(st.integers(0, 14), min_size=40, max_size=40))
@settings(deadline=None)
def test_the_two_one_sided_tests_are_the_interval(rows: list[tuple[int, int, int]], groups: list[int]) -> None:
    found = judged(paired(rows, groups[: len(rows)]), accuracy_margin=0.3, kappa_bound=0.5, confidence=0.9)
    json.dumps(found, allow_nan=False)
    accuracy, answers = found["accuracy"], found["kappa"]
    if accuracy["low"] is None:
        assert accuracy["p_equivalence"] is None and accuracy["reason"] and verdicts(found)[0] == "undefined"
        return
    assert accuracy["low"] <= accuracy["difference"] <= accuracy["high"]
    nearest = min(abs(accuracy["low"] + 0.3), abs(accuracy["high"] - 0.3))
    if nearest > 1e-9:
        inside = accuracy["low"] > -0.3 and accuracy["high"] < 0.3
        assert (accuracy["p_equivalence"] < 0.05) == inside == (verdicts(found)[0] in ("equivalent", "both"))
    if answers["value"] is None:
        assert answers["reason"] == UNDEFINED and verdicts(found)[2] in ("undefined", "different")
    else:
        assert answers["low"] - 1e-9 <= answers["value"] <= answers["high"] + 1e-9 <= 1 + 2e-9


@given(rows=ROWS)
@settings(deadline=None)
def test_swapping_the_systems_turns_the_difference_and_keeps_the_verdict(rows: list[tuple[int, int, int]]) -> None:
    one = judged(paired(rows), **BOUNDS)
    other = judged(paired([(gold, reference, system) for gold, system, reference in rows]), **BOUNDS)
    assert verdicts(one) == verdicts(other)
    if one["accuracy"]["low"] is not None:
        assert one["accuracy"]["low"] == pytest.approx(-other["accuracy"]["high"], abs=1e-8)
    for name in ("p_equivalence", "p_difference"):
        assert one["accuracy"][name] == pytest.approx(other["accuracy"][name])
    if one["kappa"]["low"] is not None:
        assert one["kappa"]["low"] == pytest.approx(other["kappa"]["low"], abs=1e-8)


@given(rows=ROWS)
@settings(deadline=None)
def test_one_row_a_group_gives_the_limits_of_rows(rows: list[tuple[int, int, int]]) -> None:
    pair = paired(rows)
    found = judged(pair, **BOUNDS)
    accuracy = found["accuracy"]
    if len(rows) < FEWEST_GROUPS:
        assert accuracy["low"] is found["kappa"]["low"] is None and accuracy["reason"]
    else:
        assert (accuracy["low"], accuracy["high"]) == pytest.approx((accuracy["tango_low"], accuracy["tango_high"]))
    tested = equivalence.tests(pair, 0.05)
    table = [[7, tested["b"]], [tested["c"], 9]]
    if tested["b"] + tested["c"]:
        plain = statsmodels_mcnemar(table, exact=False, correction=False).pvalue
        assert accuracy["p_difference"] == tested["clustered"]["p"] == pytest.approx(plain)
    assert tested["permutation"]["p"] == pytest.approx(tested["exact"])


@pytest.mark.parametrize("seed", range(5))
def test_six_identical_voices_say_no_more_than_one(seed: int) -> None:
    once = study(np.random.default_rng(seed), 150, 1, 0.1)
    found, often = judged(once, **BOUNDS), judged(repeated(once, 6), **BOUNDS)
    for part, names in (("accuracy", ("low", "high", "p_equivalence", "p_difference")), ("kappa", ("low", "high"))):
        for name in names:
            assert often[part][name] == pytest.approx(found[part][name], abs=1e-8)
    assert verdicts(often) == verdicts(found)
    assert often["accuracy"]["tango_high"] < found["accuracy"]["tango_high"]
    tested, again = (equivalence.tests(each, 0.05) for each in (once, repeated(once, 6)))
    for name in ("clustered", "permutation"):
        assert again[name]["p"] == pytest.approx(tested[name]["p"])


@given(rows=ROWS, groups=st.lists(st.integers(0, 9), min_size=40, max_size=40))
@settings(deadline=None)
def test_ratio_estimators_are_the_statistics_and_their_errors_those_of_statsmodels(
    rows: list[tuple[int, int, int]], groups: list[int]
) -> None:
    pair = paired(rows, groups[: len(rows)])
    difference, agreement = RatioEstimator.accuracy_difference(pair), RatioEstimator.kappa(pair)
    count = pair.clusters.count
    expected = estimate({"k": kappa(pair)}, count, 0.9)["k"].value
    if expected is not None:
        assert agreement.value == pytest.approx(expected)
        with np.errstate(invalid="ignore"):  # its variance can come out a little below zero
            variance = cohens_kappa(count_table(pair)).var_kappa
        assert agreement.row_error() ** 2 == pytest.approx(max(0, variance), abs=1e-9)
    for each in (difference, agreement):
        if each.row_error() > 1e-9 and count > 2 and abs(each.bottom.sum()) > 1e-9:
            residuals = each.top - each.value * each.bottom
            fit = sm.OLS(residuals, np.ones(len(rows))).fit(
                cov_type="cluster", cov_kwds={"groups": pair.clusters.index, "use_correction": False}
            )
            rows_only = np.sqrt(np.mean(residuals**2) / len(rows))
            assert each.design_effect(each.value) == pytest.approx((fit.bse[0] / rows_only) ** 2, abs=1e-6)


def test_many_independent_rows_give_the_paired_t_tests() -> None:
    pair = study(np.random.default_rng(2), 6000, 1, 0.1, lead=0.55)
    x, y = pair.system_correct.astype(float), pair.reference_correct.astype(float)
    found = judged(pair, accuracy_margin=0.02, kappa_bound=0.8, confidence=0.9)["accuracy"]
    assert found["p_equivalence"] == pytest.approx(ttost_paired(x, y, -0.02, 0.02)[0], abs=0.01)


def test_equal_accuracy_on_other_items_is_no_equivalence() -> None:
    rng = np.random.default_rng(0)
    alike = judged(study(rng, 2000, 3, 0.02), **BOUNDS)
    assert verdicts(alike)[1:] == ("above", "equivalent")
    apart = judged(study(rng, 30_000, 1, 0.4), **BOUNDS)
    assert apart["accuracy"]["p_equivalence"] < 0.05
    assert verdicts(apart)[1:] == ("below", "accuracy only")
    behind = judged(study(rng, 2000, 3, 0.2, lead=0.1), **BOUNDS)
    assert verdicts(behind)[2] == "different"
    trivial = judged(study(rng, 20_000, 1, 0.05, lead=0.6), **BOUNDS)
    assert verdicts(trivial) == ("both", "above", "equivalent")


@pytest.mark.parametrize("texts", [12, 40])
def test_full_agreement_on_few_texts_shows_nothing(texts: int) -> None:
    rows = np.repeat([[i % 3, i % 3, i % 3] for i in range(texts)], 6, axis=0)
    found = judged(paired(rows, np.repeat(np.arange(texts), 6)), **BOUNDS)
    assert verdicts(found)[0] == "inconclusive" and found["accuracy"]["difference"] == 0
    assert found["kappa"]["value"] == 1 and (verdicts(found)[1] == "above") == (texts == 40)
    half = 1.6448536**2 / (texts + 1.6448536**2)  # as with one row a text
    assert found["accuracy"]["high"] == pytest.approx(half, abs=1e-6)


@pytest.mark.parametrize("texts", [12, 30, 60])
@pytest.mark.parametrize("odd", [[(0, 1)], [(0, 1), (1, 2)]])
def test_a_fluke_or_two_do_not_make_the_other_texts_certain(texts: int, odd: list[tuple[int, int]]) -> None:
    rows, groups = np.zeros((6 * texts, 3), dtype=int), np.repeat(np.arange(texts), 6)
    for fluke in odd:
        rows[fluke] = 1
    found = judged(paired(rows, groups), **BOUNDS)
    # Three in a hundred texts that differ in all voices would have been missed with so few.
    assert 0.97**texts > 0.05 and verdicts(found)[0] == "inconclusive" and found["accuracy"]["p_equivalence"] > 0.05


def test_constant_answers_have_no_kappa_and_a_reason() -> None:
    found = judged(paired([(i % 3, 0, 0) for i in range(300)]), **BOUNDS)
    assert found["kappa"] == {
        "bound": 0.8,
        "value": None,
        "low": None,
        "high": None,
        "reason": UNDEFINED,
    }
    assert verdicts(found)[1:] == ("undefined", "undefined")


@pytest.mark.parametrize("odd", [1, 2])
def test_nearly_constant_answers_have_limits(odd: int) -> None:
    rows = np.zeros((2000, 3), dtype=int)
    rows[0, odd] = 1
    found = judged(paired(rows), **BOUNDS)["kappa"]
    # One row of two thousand says nothing about the answers that are not the commonest.
    assert found["value"] == pytest.approx(0) and found["low"] < 0 and found["bound"] < found["high"] < 1


def test_one_group_shows_nothing() -> None:
    pair = paired([(0, 0, 0), (1, 0, 1), (2, 2, 1)], [0, 0, 0])
    found = judged(pair, **BOUNDS)
    assert verdicts(found) == ("undefined",) * 3
    assert "one group" in found["accuracy"]["reason"] and found["kappa"]["value"] is not None
    assert (
        equivalence.tests(pair, 0.05)["clustered"]["p"] is None
        and equivalence.tests(pair, 0.05)["permutation"]["p"] == 1
    )


def test_size_at_the_margin_and_at_no_difference() -> None:
    rng = np.random.default_rng(5)
    # The difference is 0.1 x (0.81 - 0.19), less the share of flukes: 0.061, just beyond the margin.
    shown = [
        judged(study(rng, 250, 6, 0.1, lead=0.81), accuracy_margin=0.06, kappa_bound=0.5, confidence=0.9)["accuracy"]
        for _ in range(200)
    ]
    as_rows = np.mean([each["tango_low"] > -0.06 and each["tango_high"] < 0.06 for each in shown])
    assert np.mean([each["p_equivalence"] < 0.05 for each in shown]) < 0.1  # 5 % and three standard errors
    assert as_rows > 0.12
    none = [judged(study(rng, 250, 6, 0.1), **BOUNDS)["accuracy"] for _ in range(200)]
    assert np.mean([each["p_difference"] < 0.05 for each in none]) < 0.1


def test_tango_takes_the_variance_of_texts_at_the_margin() -> None:
    pair = study(np.random.default_rng(3), 300, 6, 0.1)
    surplus = np.bincount(pair.clusters.index, weights=pair.system_correct.astype(float) - pair.reference_correct)
    b, c = (
        int(np.sum(one & ~other))
        for one, other in ((pair.system_correct, pair.reference_correct), (pair.reference_correct, pair.system_correct))
    )
    p_values = []
    for margin in (-0.03, 0.03):
        expected = ((b - c - 1800 * margin) / tango.score(b, c, 1800, margin)) ** 2
        seen = b + c - 2 * margin * (b - c) + 1800 * margin**2
        assert seen < expected
        variance = np.sum((surplus - 6 * margin) ** 2) + 6 * (expected - seen)
        p_values.append(norm.sf(-np.sign(margin) * (b - c - 1800 * margin) / np.sqrt(variance)))
    assert judged(pair, **BOUNDS)["accuracy"]["p_equivalence"] == pytest.approx(max(p_values))


@given(rows=ROWS, groups=st.lists(st.integers(0, 9), min_size=40, max_size=40), value=SHARE, expected=st.floats(0, 99))
@settings(deadline=None)
def test_the_variance_lies_between_what_is_seen_and_copies(
    rows: list[tuple[int, int, int]], groups: list[int], value: float, expected: float
) -> None:
    for make in (RatioEstimator.accuracy_difference, RatioEstimator.kappa):
        alone, grouped = make(paired(rows)), make(paired(rows, groups[: len(rows)]))
        assert alone.copies == 1 and alone.null_variance(value, expected) == pytest.approx(expected)
        found = grouped.null_variance(value, expected)
        effect = grouped.design_effect(value)
        ends = sorted((effect * expected, grouped.copies * expected))
        assert ends[0] - 1e-9 <= found <= ends[1] + 1e-9
        often = make(repeated(paired(rows, groups[: len(rows)]), 3))
        assert often.null_variance(value, 3 * expected) == pytest.approx(9 * found)


@pytest.mark.parametrize("voices", [1, 3])
@pytest.mark.parametrize(("texts", "prevalence"), [(16, 0.5), (16, 0.8), (63, 0.95), (300, 0.99), (300, 0.998)])
def test_a_kappa_at_its_bound_is_seldom_called_above_or_below_it(texts: int, prevalence: float, voices: int) -> None:
    """At the level of a study, 95 %; the answers of most voices are those of their text."""
    rng = np.random.default_rng([texts, voices])
    shares, wrong = np.array([prevalence, 1 - prevalence]), 0
    for _ in range(200):
        system = rng.choice(2, texts, p=shares)
        reference = np.where(rng.random(texts) < 0.8, system, rng.choice(2, texts, p=shares))
        rows = np.repeat(np.stack([system, system, reference], axis=1), voices, axis=0)
        anew = rng.random((len(rows), 1)) < 0.1 * (voices > 1)
        other = rng.choice(2, len(rows), p=shares)
        same = np.where(rng.random(len(rows)) < 0.8, other, rng.choice(2, len(rows), p=shares))
        rows = np.where(anew, np.stack([other, other, same], axis=1), rows)
        pair = paired(rows, np.repeat(np.arange(texts), voices))
        found = judged(pair, accuracy_margin=0.03, kappa_bound=0.8, confidence=0.95)["kappa"]
        wrong += found["low"] is not None and not found["low"] <= 0.8 <= found["high"]
    assert wrong <= 200 * 0.06 + 3 * np.sqrt(200 * 0.06 * 0.94)
