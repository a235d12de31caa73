"""Slopes over settings and Page's test: against enumeration, scipy and the bootstrap; their level and coverage."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cascade_equivalence.stats.accuracy import accuracy
from cascade_equivalence.stats.agreement import kappa
from cascade_equivalence.stats.bootstrap import draw_weights
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.intervals import difference
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Statistic, estimate
from cascade_equivalence.stats.trend import MOST_WHOLE, page, slope

SCALES = (0.0, 0.25, 0.5, 1.0)
SMALL = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 2), min_size=k, max_size=k), min_size=1, max_size=3)
)


def page_sum(ranks: np.ndarray) -> float:
    return float((ranks * np.arange(1, ranks.shape[1] + 1)).sum())


def answered(seed: int, shares: tuple[float, ...], texts: int, clips: int = 6) -> list[Paired]:
    """A system at each setting that gives its reference's answer in a share of the clips, more in easy texts."""
    rng = np.random.default_rng(seed)
    clusters = Clusters.of([f"{text:03}" for text in range(texts) for _ in range(clips)])
    rows = texts * clips
    gold = rng.integers(0, 4, rows)
    ease = np.repeat(rng.normal(0, 0.15, texts), clips)
    reference = rng.integers(0, 4, rows)
    luck = rng.random(rows)
    pairs = []
    for share in shares:
        # Luck that is in part the clip's own, so that settings are alike as scales of one model are.
        same = 0.6 * luck + 0.4 * rng.random(rows) < share + ease
        system = np.where(same, reference, rng.integers(0, 4, rows))
        pairs.append(Paired((*"abcd", "invalid"), system, reference, gold, system == gold, reference == gold, clusters))
    return pairs


def of_kappa(pairs: list[Paired], scales: tuple[float, ...] = SCALES) -> Statistic:
    return slope([kappa(pair) for pair in pairs], scales, pairs[0].clusters.count, "undefined")


@given(values=SMALL)
@settings(max_examples=60, deadline=None)
def test_page_is_the_enumeration_of_all_orders(values: list[list[int]]) -> None:
    table = np.array(values, dtype=float)
    ranks = stats.rankdata(table, axis=1)
    seen = page_sum(ranks)
    orders = [list(permutations(row)) for row in ranks.tolist()]
    sums = np.array([page_sum(np.array(each)) for each in product(*orders)])
    tail = min((sums >= seen - 1e-9).mean(), (sums <= seen + 1e-9).mean())
    found = page(table)
    assert found.statistic == pytest.approx(seen) and found.expected == pytest.approx(sums.mean())
    assert found.p == pytest.approx(min(1.0, 2 * tail))


@pytest.mark.parametrize(("texts", "count"), [(4, 3), (12, 4), (9, 5)])
def test_page_without_ties_is_that_of_scipy(texts: int, count: int) -> None:
    table = np.random.default_rng(texts).normal(size=(texts, count)) + 0.2 * np.arange(count)
    up, down = (stats.page_trend_test(each, method="exact") for each in (table, table[:, ::-1]))
    found = page(table)
    assert found.statistic == up.statistic
    assert found.p == pytest.approx(min(1.0, 2 * min(up.pvalue, down.pvalue)))


def test_page_of_many_settings_is_nearly_that_of_drawn_orders() -> None:
    rng = np.random.default_rng(1)
    table = np.floor(rng.normal(size=(15, MOST_WHOLE + 1)) + 0.12 * np.arange(MOST_WHOLE + 1))
    ranks = stats.rankdata(table, axis=1)
    drawn = np.array([page_sum(rng.permuted(ranks, axis=1)) for _ in range(4000)])
    found = page(table)
    beyond = (abs(drawn - found.expected) >= abs(found.statistic - found.expected)).mean()
    assert found.p == pytest.approx(beyond, abs=0.02)


@given(values=SMALL)
@settings(max_examples=30, deadline=None)
def test_page_knows_no_more_than_order(values: list[list[int]]) -> None:
    table = np.array(values, dtype=float)
    assert page(3 * table + 1) == page(table)
    assert page(table[:, ::-1]).p == pytest.approx(page(table).p)
    assert page(np.zeros_like(table)).p == 1


def test_page_keeps_its_level_and_finds_what_is_planted() -> None:
    """Texts of which some are hard, each in several clips, so that there are ties."""
    rng = np.random.default_rng(0)

    def found(rise: float, texts: int = 12) -> float:
        shares = np.clip(rng.beta(2, 2, (texts, 1)) + rise * np.array(SCALES), 0, 1)
        return page(rng.binomial(6, shares).astype(float)).p

    count = 1200
    level = np.mean([found(0) <= 0.05 for _ in range(count)])
    assert level <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / count)
    assert level > 0.02
    assert np.mean([found(0.5) <= 0.05 for _ in range(100)]) > 0.95
    assert np.mean([found(-0.5) <= 0.05 for _ in range(100)]) > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_of_two_settings_a_slope_is_their_difference(seed: int) -> None:
    pairs = answered(seed, (0.8, 0.4), 20)
    of_two = of_kappa(pairs, (0.0, 0.5))
    kappas = [kappa(pair) for pair in pairs]
    found = estimate({"slope": of_two, "step": difference(kappas[1], kappas[0], 20, "")}, 20, 0.95)
    for end in ("value", "low", "high"):
        assert getattr(found["slope"], end) == pytest.approx(2 * getattr(found["step"], end))


def test_a_slope_is_that_of_least_squares_and_as_wide_as_the_bootstraps() -> None:
    texts = 150
    pairs = answered(3, (0.8, 0.7, 0.6, 0.3), texts)
    statistic = of_kappa(pairs)
    found = estimate({"": statistic}, texts, 0.95)[""]
    values = [kappa(pair).of(np.ones((1, texts)))[0] for pair in pairs]
    assert found.value == pytest.approx(np.polyfit(SCALES, values, 1)[0])
    drawn = np.concatenate([statistic.of(weights) for weights in draw_weights(texts, 1000, 0)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)


@given(seed=st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_turning_the_settings_round_turns_the_slope(seed: int) -> None:
    pairs = answered(seed, (0.9, 0.8, 0.2), 12)
    scales = (0.0, 0.4, 1.0)
    forth = of_kappa(pairs, scales)
    back = of_kappa(pairs[::-1], tuple(1 - scale for scale in scales[::-1]))
    one, other = (estimate({"": each}, 12, 0.95)[""] for each in (forth, back))
    assert one.value == pytest.approx(-(other.value or 0))
    assert one.low == pytest.approx(-(other.high or 0)) and one.high == pytest.approx(-(other.low or 0))


def test_few_texts_have_a_slope_and_no_interval() -> None:
    pairs = answered(0, (0.8, 0.6, 0.5, 0.2), 5)
    found = estimate({"": of_kappa(pairs)}, 5, 0.95)[""]
    assert found.value is not None and found.low is None and "5 groups" in str(found.reason)


@pytest.mark.parametrize("what", ["kappa", "accuracy"])
def test_intervals_of_slopes_hold_the_truth(what: str) -> None:
    """At the fewest texts of a study with a dial; the sizes in between are in ``benchmarks/trend.py``."""
    shares = (0.9, 0.8, 0.6, 0.2)
    texts, count = 12, 120

    def of(pairs: list[Paired]) -> Statistic:
        if what == "kappa":
            return of_kappa(pairs)
        # Right where it is the reference's answer, so that accuracies fall as the shares do.
        groups = pairs[0].clusters
        return slope([accuracy(groups, each.system == each.reference) for each in pairs], SCALES, groups.count, "")

    truth = of(answered(999, shares, 4000)).of(np.ones((1, 4000)))[0]
    inside = 0
    for seed in range(count):
        found = estimate({"": of(answered(seed, shares, texts))}, texts, 0.95)[""]
        assert found.low is not None and found.high is not None
        inside += found.low <= truth <= found.high
    assert inside / count >= 0.95 - 2.6 * np.sqrt(0.95 * 0.05 / count)
