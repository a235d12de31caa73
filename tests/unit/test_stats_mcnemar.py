"""McNemar's tests of rows and of groups, against statsmodels, enumeration and the published formulas."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from cascade_equivalence.stats.clustered import clustered_mcnemar, sign_flip
from cascade_equivalence.stats.mcnemar import exact, mid_p

GROUP = st.tuples(st.integers(0, 6), st.integers(0, 6))
GROUPS = st.lists(GROUP, min_size=2, max_size=40)


def arrays(groups: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows that only the one, and only the other, got right."""
    b, c = np.array(groups, dtype=float).T
    return b, c


@given(b=st.integers(0, 300), c=st.integers(0, 300))
@settings(deadline=None)
def test_exact_is_that_of_statsmodels(b: int, c: int) -> None:
    assert exact(b, c) == exact(c, b)
    assert exact(b, c) == pytest.approx(statsmodels_mcnemar([[7, b], [c, 9]], exact=True).pvalue, rel=1e-9)


@given(b=st.integers(0, 60), c=st.integers(0, 60))
@settings(deadline=None)
def test_mid_p_counts_half_of_what_is_as_extreme(b: int, c: int) -> None:
    n, expected = b + c, Fraction(0)
    for k in range(n + 1):
        weight = Fraction(math.comb(n, k), 2**n)
        further = abs(2 * k - n) - abs(b - c)
        expected += weight if further > 0 else weight / 2 if further == 0 else 0
    assert mid_p(b, c) == pytest.approx(float(expected) if n else 1.0, rel=1e-9)
    assert mid_p(b, c) <= exact(b, c) <= 1


def test_airway_example_of_fagerland_lydersen_and_laake() -> None:
    assert (round(exact(1, 7), 3), round(mid_p(1, 7), 3)) == (0.070, 0.039)


@given(b=st.integers(0, 60), c=st.integers(0, 60), agreeing=st.integers(0, 5))
@settings(deadline=None)
def test_groups_of_one_row_give_the_tests_of_rows(b: int, c: int, agreeing: int) -> None:
    if b + c < 2:
        return
    totals = arrays([(1, 0)] * b + [(0, 1)] * c + [(0, 0)] * agreeing)
    expected = statsmodels_mcnemar([[7, b], [c, 9]], exact=False, correction=False)
    found = clustered_mcnemar(*totals)
    assert found.statistic == pytest.approx(expected.statistic) and found.p == pytest.approx(expected.pvalue)
    assert sign_flip(*totals) == pytest.approx(exact(b, c), rel=1e-9)


@given(groups=GROUPS, times=st.integers(2, 7))
@settings(deadline=None)
def test_repeating_every_row_of_every_group_adds_nothing(groups: list[tuple[int, int]], times: int) -> None:
    b, c = arrays(groups)
    once, often = clustered_mcnemar(b, c), clustered_mcnemar(times * b, times * c)
    assert often.p == pytest.approx(once.p) and sign_flip(times * b, times * c) == pytest.approx(sign_flip(b, c))


@given(groups=GROUPS, order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_swapping_systems_and_reordering_groups_change_nothing(groups: list[tuple[int, int]], order) -> None:
    b, c = arrays(groups)
    shuffled = list(groups)
    order.shuffle(shuffled)
    for other in ((c, b), arrays(shuffled)):
        assert clustered_mcnemar(*other).p == pytest.approx(clustered_mcnemar(b, c).p)
        assert sign_flip(*other) == pytest.approx(sign_flip(b, c))


@given(groups=GROUPS, spare=st.lists(st.integers(0, 4), min_size=40, max_size=40))
@settings(deadline=None)
def test_clustered_test_is_obuchowskis_from_two_proportions(groups: list[tuple[int, int]], spare: list[int]) -> None:
    b, c = arrays(groups)
    both, count = np.array(spare[: len(b)]), len(b)
    sizes = b + c + both + 1  # and one row that both got wrong
    first, second, rows = b + both, c + both, sizes.sum()
    pooled = (first.sum() + second.sum()) / (2 * rows)
    scale = count / ((count - 1) * rows**2)
    one, other = first - sizes * pooled, second - sizes * pooled
    variance = scale * (one @ one + other @ other - 2 * one @ other)
    if variance > 1e-12:
        statistic = ((first.sum() - second.sum()) / rows) ** 2 / variance
        assert clustered_mcnemar(b, c).statistic * (count - 1) / count == pytest.approx(statistic)


@given(groups=st.lists(GROUP, min_size=3, max_size=40), size=st.integers(12, 20))
@settings(deadline=None)
def test_in_equal_groups_it_is_durkalskis_and_close_to_the_robust_wald_test(
    groups: list[tuple[int, int]], size: int
) -> None:
    b, c = arrays(groups)
    means = (b - c) / size
    if not means.any():
        assert clustered_mcnemar(b, c).p == 1
        return
    found = clustered_mcnemar(b, c).statistic
    assert found == pytest.approx(means.sum() ** 2 / (means**2).sum())
    # Cluster-robust least squares takes the variance at the difference found, not at none.
    rows = np.concatenate([[1] * int(x) + [-1] * int(y) + [0] * int(size - x - y) for x, y in zip(b, c, strict=True)])
    names = np.repeat(np.arange(len(b)), size)
    fit = sm.OLS(rows, np.ones(len(rows))).fit(cov_type="cluster", cov_kwds={"groups": names, "use_correction": False})
    if fit.bse[0] > 1e-9:
        wald = float(fit.tvalues[0]) ** 2
        assert found == pytest.approx(wald / (1 + wald / len(b)))


@given(groups=st.lists(GROUP, min_size=1, max_size=9))
@settings(deadline=None)
def test_sign_flip_is_the_enumeration_of_all_flips(groups: list[tuple[int, int]]) -> None:
    b, c = arrays(groups)
    surplus = b - c
    sums = [abs(np.dot(signs, surplus)) for signs in itertools.product((-1, 1), repeat=len(surplus))]
    assert sign_flip(b, c) == pytest.approx(np.mean([s >= abs(surplus.sum()) for s in sums]))


def test_sign_flip_of_a_study_is_close_to_chi_square() -> None:
    rng = np.random.default_rng(0)
    surplus = rng.integers(-6, 7, 1000)
    b, c = np.maximum(surplus, 0).astype(float), np.maximum(-surplus, 0).astype(float)
    assert sign_flip(b, c) == pytest.approx(clustered_mcnemar(b, c).p, abs=0.01)


def test_one_group_has_no_test_and_no_surplus_is_no_difference() -> None:
    alone = clustered_mcnemar(np.array([3.0]), np.array([1.0]))
    assert alone.p is None and alone.statistic is None and alone.reason and "one group" in alone.reason
    assert sign_flip(np.array([3.0]), np.array([1.0])) == 1
    balanced = clustered_mcnemar(np.array([2.0, 1.0]), np.array([2.0, 1.0]))
    assert (balanced.statistic, balanced.p) == (0, 1)
