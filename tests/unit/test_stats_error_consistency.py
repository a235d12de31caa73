"""Error consistency against scikit-learn, its limits and the copy model against enumeration and simulation."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from cascade_equivalence.stats.error_consistency import (
    ALWAYS_ALIKE,
    CONSTANT,
    copied,
    error_consistency,
    expected_consistency,
    limits,
    observed_consistency,
)
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate

RIGHT = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1, max_size=40)


def paired(system: list[bool], reference: list[bool], groups: list[int] | None = None) -> Paired:
    """Pairs from what each system got right; what it says where it is wrong plays no part."""
    rows = len(system)
    joined = pl.DataFrame(
        {
            "group": [f"{group:03}" for group in groups or range(rows)],
            "label": ["a"] * rows,
            "system_parsed": ["a" if right else "bc"[i % 2] for i, right in enumerate(system)],
            "reference_parsed": ["a" if right else "invalid" for right in reference],
            "system_correct": system,
            "reference_correct": reference,
        }
    )
    return Paired.of(joined, ["a", "b", "c"])


def value(statistic: Statistic, pair: Paired) -> Estimate:
    """A statistic with a short bootstrap."""
    return estimate({"s": statistic}, pair.clusters.count, 0.9)["s"]


@given(rows=RIGHT)
@settings(deadline=None)
def test_error_consistency_is_scikit_learns_kappa_of_right_and_wrong(rows: list[tuple[bool, bool, int]]) -> None:
    system, reference, groups = (list(column) for column in zip(*rows, strict=True))
    pair = paired(system, reference, groups)
    found = value(error_consistency(pair), pair)
    observed = value(observed_consistency(pair), pair).value
    assert observed == pytest.approx(np.mean(np.equal(system, reference)))
    accuracies = float(np.mean(system)), float(np.mean(reference))
    if len({*system, *reference}) == 1:
        assert found.value is None and found.reason == CONSTANT and limits(*accuracies) is None
        return
    assert found.value == pytest.approx(cohen_kappa_score(system, reference), abs=1e-12)
    expected = expected_consistency(*accuracies)
    assert observed is not None and found.value == pytest.approx((observed - expected) / (1 - expected))
    lowest, highest = limits(*accuracies) or (0, 0)
    assert lowest - 1e-9 <= found.value <= highest + 1e-9


@pytest.mark.parametrize("rows", [1, 4, 7])
def test_limits_are_the_extremes_over_all_outcomes_with_these_accuracies(rows: int) -> None:
    outcomes = list(itertools.product([False, True], repeat=rows))
    reached: dict[tuple[int, int], list[float]] = {}
    for system in (tuple(i < right for i in range(rows)) for right in range(rows + 1)):
        for reference in outcomes:
            pair = paired(list(system), list(reference))
            found = error_consistency(pair).of(np.ones((1, rows)))[0]
            reached.setdefault((sum(system), sum(reference)), []).append(float(found))
    for (system_right, reference_right), values in reached.items():
        found_limits = limits(system_right / rows, reference_right / rows)
        if found_limits is None:
            assert np.isnan(values).all()
        else:
            assert found_limits == pytest.approx((min(values), max(values)))


@given(rows=RIGHT)
@settings(deadline=None)
def test_copied_is_how_much_more_often_right_where_the_better_system_is(rows: list[tuple[bool, bool, int]]) -> None:
    system, reference, _ = (np.array(column) for column in zip(*rows, strict=True))
    better, other = (system, reference) if system.sum() >= reference.sum() else (reference, system)
    pair = paired(system.tolist(), reference.tolist())
    found = value(copied(pair), pair)
    if better.all() or not better.any():
        assert found.value is None and found.reason == ALWAYS_ALIKE
        return
    assert found.value == pytest.approx(other[better].mean() - other[~better].mean())
    if better.sum() == other.sum():
        assert found.value == pytest.approx(value(error_consistency(pair), pair).value)


@pytest.mark.parametrize(("share", "alone"), [(0.0, 0.5), (0.4, 0.8), (0.7, 0.3), (1.0, 0.5)])
def test_copied_finds_the_share_that_was_copied(share: float, alone: float) -> None:
    rng = np.random.default_rng(0)
    better = rng.random(60_000) < 0.8
    other = np.where(rng.random(60_000) < share, better, rng.random(60_000) < alone)
    pair = paired(other.tolist(), better.tolist(), [i % 50 for i in range(60_000)])
    assert copied(pair).of(np.ones((1, 50)))[0] == pytest.approx(share, abs=0.02)


def test_independent_systems_have_none_and_the_same_system_has_all() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.random((2, 20_000)) < np.array([[0.7], [0.6]])).tolist()
    independent, same = paired(first, second), paired(first, first)
    assert error_consistency(independent).of(np.ones((1, 20_000)))[0] == pytest.approx(0, abs=0.03)
    assert error_consistency(same).of(np.ones((1, 20_000)))[0] == 1
    assert limits(0.7, 0.7) == pytest.approx((-0.3 / 0.7, 1))


def test_intervals_count_whole_texts() -> None:
    rng = np.random.default_rng(2)
    system, reference = rng.random((2, 80)) < 0.6
    reference = np.where(rng.random(80) < 0.5, system, reference)
    statistics = [
        estimate({"k": error_consistency(pair)}, pair.clusters.count, 0.95)["k"]
        for pair in (
            paired(system.tolist(), reference.tolist()),
            paired(system.tolist() * 6, reference.tolist() * 6, list(range(80)) * 6),
        )
    ]
    one, six = ([each.value, each.low, each.high] for each in statistics)
    assert one == pytest.approx(six, abs=1e-6)
