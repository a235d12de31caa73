"""A number has an interval from ten groups on, and only those count that it rests on."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.stats.accuracy import accuracy_among_parsed
from cascade_equivalence.stats.clusters import Bools, Clusters
from cascade_equivalence.stats.explained import Explained
from cascade_equivalence.stats.induced import risk_ratio
from cascade_equivalence.stats.intervals import difference, paired_difference, share
from cascade_equivalence.stats.mean import mean
from cascade_equivalence.stats.overlap import error_overlap, overlap_ratio
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate
from cascade_equivalence.vocabulary import FEWEST_GROUPS

VOICES = 2
NAMES = ("0", "1", "2", "3", "invalid")
RUNS = 200


def texts(count: int) -> Clusters:
    """Some texts in each voice."""
    return Clusters(np.repeat(np.arange(count), VOICES), count)


def only(statistic: Statistic, groups: int) -> Estimate:
    """The estimate of one statistic."""
    return estimate({"it": statistic}, groups, 0.95)["it"]


def wrong_in_both(clusters: Clusters, some: Bools, generator: np.random.Generator, golds: int = 1) -> Paired:
    """Two systems that both err on some rows, each with any wrong answer to a text, and are right on the others."""
    gold = np.repeat(np.arange(clusters.count) % golds, VOICES)
    answers = (np.repeat(generator.choice(3, clusters.count, p=[0.6, 0.3, 0.1]), VOICES) for _ in range(2))
    system, reference = (np.where(some, (gold + 1 + each) % 4, gold) for each in answers)
    return Paired(NAMES, system, reference, gold, system == gold, reference == gold, clusters)


def _share(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    return share(clusters, rng.random(len(some)) < 0.5, "", some)


def _paired(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    one, other = rng.random((2, len(some))) < 0.5
    return paired_difference(clusters, one, other, "", some)


def _difference(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    whole = share(clusters, rng.random(len(some)) < 0.5, "")
    return difference(whole, _share(clusters, some, rng), clusters.count, "")


def _mean(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    return mean(clusters, np.where(some, rng.normal(size=len(some)), np.nan), "")


def _risk_ratio(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    return risk_ratio(clusters, rng.permutation(np.arange(len(some)) % 2 == 0) | ~some, some)


def _risk_ratio_of_the_others(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    return risk_ratio(clusters, rng.random(len(some)) < 0.5, ~some)


def _explained(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    there = clusters.totals(some * rng.uniform(1, 2, len(some)))
    names = [f"{text:04}" for text in range(clusters.count)]
    return Explained(names, there * rng.uniform(0.2, 0.8, clusters.count), there).statistic("")


def _overlap(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    return error_overlap(wrong_in_both(clusters, some, rng))


def _overlap_ratio(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    return overlap_ratio(wrong_in_both(clusters, some, rng))


def _among_parsed(clusters: Clusters, some: Bools, rng: np.random.Generator) -> Statistic:
    return accuracy_among_parsed(clusters, (rng.random(len(some)) < 0.5) & some, some)


KINDS: dict[str, Callable[[Clusters, Bools, np.random.Generator], Statistic]] = {
    "share": _share,
    "paired difference": _paired,
    "difference of two shares": _difference,
    "accuracy among parsed": _among_parsed,
    "mean": _mean,
    "risk ratio, few exposed": _risk_ratio,
    "risk ratio, few others": _risk_ratio_of_the_others,
    "explained": _explained,
    "overlap": _overlap,
    "overlap ratio": _overlap_ratio,
}


@pytest.mark.parametrize("kind", KINDS)
@given(few=st.integers(1, 9), others=st.integers(1, 60), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_what_rests_on_few_texts_has_no_interval_whatever_else_there_is(
    kind: str, few: int, others: int, seed: int
) -> None:
    clusters = texts(few + others)
    found = only(KINDS[kind](clusters, clusters.index < few, np.random.default_rng(seed)), clusters.count)
    assert found.low is found.high is None and found.reason
    if found.value is not None and few > 1:
        fewest = min(few, others) if "risk ratio" in kind else few
        assert str(fewest) in found.reason or fewest == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_rests_on_ten_texts_has_an_interval(kind: str) -> None:
    clusters = texts(60)
    for seed in range(5):
        found = only(KINDS[kind](clusters, clusters.index < FEWEST_GROUPS, np.random.default_rng(seed)), 60)
        assert found.reason is None and found.value is not None
        assert found.low is not None and found.high is not None and found.low <= found.value <= found.high


def test_a_ratio_of_overlaps_rests_on_the_texts_of_a_label() -> None:
    """Chance is drawn within labels, each of which needs texts of its own."""
    clusters = texts(100)
    generator = np.random.default_rng(0)
    for wrong, enough in ((36, False), (40, True)):
        pair = wrong_in_both(clusters, clusters.index < wrong, generator, golds=4)
        assert (only(overlap_ratio(pair), 100).low is not None) == enough
        one_label = replace(pair, gold=np.zeros_like(pair.gold))
        assert only(overlap_ratio(one_label), 100).low is not None


def test_a_risk_ratio_of_a_small_part_holds_the_truth_where_it_has_an_interval() -> None:
    for exposed in (2, 5, 10, 20):
        made = held = 0
        clusters = texts(300)
        part = clusters.index < exposed
        for seed in range(RUNS):
            rng = np.random.default_rng([seed, exposed])
            event = np.repeat(rng.random(300) < np.where(np.arange(300) < exposed, 0.5, 0.2), VOICES)
            found = only(risk_ratio(clusters, event, part), 300)
            if found.low is not None and found.high is not None:
                made += 1
                held += found.low <= 2.5 <= found.high
        assert (made == 0) == (exposed < FEWEST_GROUPS)
        assert held >= 0.93 * made


@pytest.mark.parametrize(("kind", "truth"), [("mean", 0.0), ("share", 0.5), ("paired difference", 0.0)])
def test_what_rests_on_ten_of_many_texts_holds_the_truth(kind: str, truth: float) -> None:
    clusters, held = texts(300), 0
    for seed in range(RUNS):
        found = only(KINDS[kind](clusters, clusters.index < 10, np.random.default_rng(seed)), 300)
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    assert held >= 0.92 * RUNS
