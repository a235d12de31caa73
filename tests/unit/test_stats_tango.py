"""Tango's score interval against a numeric likelihood, McNemar's test and values from R."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from cascade_equivalence.stats.tango import interval, invert, only_reference, score

COUNT = st.integers(0, 80)
DELTA = st.floats(-0.95, 0.95)


@given(b=COUNT, c=COUNT, rest=COUNT, delta=st.floats(-0.95, -0.001))
@settings(deadline=None)
def test_the_constrained_estimate_is_where_the_likelihood_is_highest(b: int, c: int, rest: int, delta: float) -> None:
    rows = b + c + rest
    assume(rows)

    def loss(only: float) -> float:
        return -float(xlogy(b, only + delta) + xlogy(c, only) + xlogy(rest, 1 - 2 * only - delta))

    best = minimize_scalar(loss, bounds=(-delta, (1 - delta) / 2), method="bounded", options={"xatol": 1e-9})
    found = only_reference(b, c, rows, delta)
    assert -delta - 1e-9 <= found <= (1 - delta) / 2 + 1e-9
    assert loss(min(max(found, -delta + 1e-9), (1 - delta) / 2 - 1e-9)) <= best.fun + 1e-5


@given(b=COUNT, c=COUNT, rest=COUNT)
@settings(deadline=None)
def test_at_no_difference_it_is_mcnemars_without_correction(b: int, c: int, rest: int) -> None:
    if b + c == 0:
        assert score(b, c, rest + 1, 0) == 0
    else:
        expected = statsmodels_mcnemar([[7, b], [c, 9]], exact=False, correction=False).statistic
        assert score(b, c, b + c + rest, 0) ** 2 == pytest.approx(expected)


@given(b=COUNT, c=COUNT, rest=COUNT, delta=DELTA, confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
@settings(deadline=None)
def test_the_interval_holds_exactly_what_the_test_does_not_reject(
    b: int, c: int, rest: int, delta: float, confidence: float
) -> None:
    rows = b + c + rest
    assume(rows)
    low, high = interval(b, c, rows, confidence)
    assert -1 <= low <= (b - c) / rows <= high <= 1
    critical = norm.isf((1 - confidence) / 2)
    if min(abs(delta - low), abs(delta - high)) > 1e-6:
        assert (low < delta < high) == (abs(score(b, c, rows, delta)) < critical)


@given(b=COUNT, c=COUNT, rest=COUNT, delta=DELTA)
@settings(deadline=None)
def test_swapping_the_systems_turns_the_sign(b: int, c: int, rest: int, delta: float) -> None:
    rows = b + c + rest
    assume(rows)
    assert score(b, c, rows, delta) == pytest.approx(-score(c, b, rows, -delta), abs=1e-12)
    low, high = interval(b, c, rows, 0.9)
    assert interval(c, b, rows, 0.9) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize(
    ("b", "c", "rows", "confidence", "limits"),
    [
        (60, 20, 1000, 0.95, (0.0231, 0.0584)),  # scoreci.mp of the R package PropCIs
        (28, 25, 618, 0.90, (-0.0148, 0.0247)),
    ],
)
def test_limits_are_those_of_r(b: int, c: int, rows: int, confidence: float, limits: tuple[float, float]) -> None:
    assert interval(b, c, rows, confidence) == pytest.approx(limits, abs=6e-5)


@pytest.mark.parametrize("rows", [1, 12, 1000])
def test_no_discordance_leaves_a_width_that_shrinks_with_the_rows(rows: int) -> None:
    half = norm.isf(0.05) ** 2 / (rows + norm.isf(0.05) ** 2)
    assert interval(0, 0, rows, 0.9) == pytest.approx((-half, half), abs=1e-9)


def test_limits_reach_the_bounds_only_where_the_estimate_does() -> None:
    assert interval(9, 0, 9, 0.95)[1] == 1 and interval(9, 0, 9, 0.95)[0] > 0
    assert interval(0, 9, 9, 0.95)[0] == -1


@given(b=COUNT, c=COUNT, rest=COUNT, effect=st.floats(1, 6))
@settings(deadline=None)
def test_a_design_effect_counts_as_so_many_fewer_rows(b: int, c: int, rest: int, effect: float) -> None:
    rows = b + c + rest
    assume(rows)
    fewer = interval(b / effect, c / effect, rows / effect, 0.9)
    assert interval(b, c, rows, 0.9, lambda _, expected: effect * expected) == pytest.approx(fewer, abs=1e-8)


@given(b=COUNT, c=COUNT, rest=COUNT)
@settings(deadline=None)
def test_many_rows_give_walds_interval(b: int, c: int, rest: int) -> None:
    b, c, rows = 1000 * (b + 10), 1000 * (c + 10), 1000 * (b + c + rest + 20)
    difference = (b - c) / rows
    half = norm.isf(0.025) * np.sqrt((b + c) / rows - difference**2) / np.sqrt(rows)
    assert interval(b, c, rows, 0.95) == pytest.approx((difference - half, difference + half), abs=0.02 * half + 1e-6)


def test_a_test_that_rejects_nothing_has_the_bounds_as_limits() -> None:
    assert invert(lambda supposed: 0.1 - supposed, 0.1, (0.0, 1.0), 0.95) == (0.0, 1.0)


def test_a_test_that_rejects_all_but_the_estimate_has_it_as_both_limits() -> None:
    assert invert(lambda supposed: 9 * np.sign(0.1 - supposed), 0.1, (0.0, 1.0), 0.95) == (0.1, 0.1)
