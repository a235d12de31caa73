"""The score interval of the error overlap: Wilson's where rows are alone or alike, and a second way to find it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from cascade_equivalence.stats import overlap, wilson
from cascade_equivalence.stats.clustered import RatioEstimator
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import ONE_GROUP, Estimate, estimate

GROUPS = st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=2, max_size=12)
STEPS = 20_001  # shares that are tried


def share(groups: list[list[bool]]) -> RatioEstimator:
    """A share of rows in groups."""
    rows = np.concatenate([np.array(group, dtype=float) for group in groups])
    index = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return RatioEstimator(rows, np.ones(len(rows)), Clusters(index, len(groups)))


def wrong_in_both(groups: list[list[bool]]) -> Paired:
    """Rows of gold label a that both systems got wrong, with the same answer or not."""
    found = share(groups)
    system = np.ones(len(found.top), dtype=np.intp)
    reference = np.where(found.top > 0, 1, 2)
    wrong = np.zeros(len(system), dtype=bool)
    return Paired(("a", "b", "c", "invalid"), system, reference, system * 0, wrong, wrong, found.clusters)


def not_rejected(groups: list[list[bool]], confidence: float) -> np.ndarray:
    """The shares that a score test does not reject, by trying many and counting group by group."""
    rows = sum(map(len, groups))
    value = sum(map(sum, groups)) / rows
    copies = sum(len(group) ** 2 for group in groups) / rows
    supposed = np.linspace(0, 1, STEPS)
    of_rows = sum((row - supposed) ** 2 for group in groups for row in group)
    of_groups = sum((sum(group) - supposed * len(group)) ** 2 for group in groups)
    expected = rows * supposed * (1 - supposed)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(of_rows > 0, of_groups * np.minimum(1, expected / of_rows), 0)
    variance = np.maximum(expected, seen + copies * np.maximum(0, expected - of_rows))
    distance = rows * np.abs(value - supposed)
    return supposed[distance <= norm.isf((1 - confidence) / 2) * np.sqrt(variance) + 1e-12]


@given(rows=st.lists(st.booleans(), min_size=1, max_size=40), voices=st.integers(1, 6))
@settings(deadline=None)
def test_rows_alone_or_all_alike_in_a_group_give_wilsons_interval(rows: list[bool], voices: int) -> None:
    found = wilson.interval(share([[row] * voices for row in rows]), 0.95)
    assert found == pytest.approx(proportion_confint(sum(rows), len(rows), method="wilson"), abs=1e-6)


@given(groups=GROUPS, confidence=st.sampled_from([0.8, 0.95]))
@settings(max_examples=25, deadline=None)
def test_the_limits_are_the_last_shares_that_the_test_does_not_reject(
    groups: list[list[bool]], confidence: float
) -> None:
    low, high = wilson.interval(share(groups), confidence)
    kept = not_rejected(groups, confidence)
    assert (low, high) == pytest.approx((kept.min(), kept.max()), abs=1.5 / STEPS)


@given(groups=GROUPS)
@settings(deadline=None)
def test_it_holds_the_estimate_and_is_no_narrower_than_if_rows_were_independent(groups: list[list[bool]]) -> None:
    found = share(groups)
    low, high = wilson.interval(found, 0.95)
    alone = proportion_confint(found.top.sum(), len(found.top), method="wilson")
    assert 0 <= low <= alone[0] + 1e-6 and alone[1] - 1e-6 <= high <= 1
    assert low <= found.value <= high


def of_overlap(pair: Paired) -> Estimate:
    """The error overlap with its interval."""
    return estimate({"o": overlap.error_overlap(pair)}, pair.clusters.count, 0.95)["o"]


def test_where_every_error_is_shared_it_has_a_width() -> None:
    found = of_overlap(wrong_in_both([[True] * 6] * 20))
    assert found.value == found.high == 1 and found.reason is None
    assert found.low == pytest.approx(proportion_confint(20, 20, method="wilson")[0], abs=1e-6)


def test_there_is_no_interval_without_two_groups_that_both_got_wrong() -> None:
    found = of_overlap(wrong_in_both([[True, False]]))
    assert (found.value, found.low, found.high, found.reason) == (0.5, None, None, ONE_GROUP)
    several = wrong_in_both([[True, False], *[[True]] * 20])
    right = several.clusters.index > 0
    some = Paired(several.categories, several.system, several.reference, several.gold, right, right, several.clusters)
    found = of_overlap(some)
    assert (found.value, found.low, found.reason) == (0.5, None, ONE_GROUP)
    right = np.ones(len(right), dtype=bool)
    none = Paired(several.categories, several.gold, several.gold, several.gold, right, right, several.clusters)
    found = of_overlap(none)
    assert (found.value, found.low, found.reason) == (None, None, overlap.NONE_WRONG)


def test_it_holds_the_truth_where_nearly_all_errors_are_shared() -> None:
    """Errors shared in 98 % of rows: 24 texts in 25 in all voices, in the rest by a coin."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        kept = generator.random(40) < 0.96
        groups = [[bool(same or coin) for coin in generator.random(6) < 0.5] for same in kept]
        found = of_overlap(wrong_in_both(groups))
        assert found.low is not None and found.high is not None
        held += found.low <= 0.98 <= found.high
    assert held > 0.9 * 200
