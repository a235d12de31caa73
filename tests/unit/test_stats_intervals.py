"""The interval of each statistic: against other implementations, bounds, invariances and planted truths."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from cascade_equivalence.stats.agreement import kappa, observed_agreement
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.indices import ac1, pabak
from cascade_equivalence.stats.intervals import correlation, difference, paired_difference, recovered, share
from cascade_equivalence.stats.jackknife import degrees_of_freedom, smooth
from cascade_equivalence.stats.kappa_interval import KappaScore
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate
from cascade_equivalence.vocabulary import FEWEST_GROUPS

NAMES = ("0", "1", "2", "invalid")
CODES = st.lists(st.tuples(*[st.integers(0, 3)] * 2, st.integers(0, 14)), min_size=FEWEST_GROUPS, max_size=80)


def alone(count: int) -> Clusters:
    """Every row in a group of its own."""
    return Clusters(np.arange(count), count)


def pair_of(system: np.ndarray, reference: np.ndarray, clusters: Clusters) -> Paired:
    """Two systems' answers; all right answers are 0."""
    gold = np.zeros(len(system), dtype=np.intp)
    return Paired(NAMES, system, reference, gold, system == 0, reference == 0, clusters)


def only(statistic: Statistic, groups: int, confidence: float = 0.95) -> Estimate:
    """The estimate of one statistic."""
    return estimate({"it": statistic}, groups, confidence)["it"]


def ends(found: Estimate) -> list[float]:
    """Lower limit, value and upper limit."""
    assert found.low is not None and found.value is not None and found.high is not None
    return [found.low, found.value, found.high]


KINDS: dict[str, Callable[[Paired], Statistic]] = {
    "kappa": kappa,
    "observed": observed_agreement,
    "pabak": pabak,
    "ac1": ac1,
    "difference": lambda pair: paired_difference(pair.clusters, pair.system_correct, pair.reference_correct, ""),
    "accuracy": lambda pair: share(pair.clusters, pair.system_correct, ""),
    "contrast": lambda pair: difference(kappa(pair), kappa(turned(pair)), pair.clusters.count, "undefined"),
}


def turned(pair: Paired) -> Paired:
    """The same system against another reference."""
    return pair_of(pair.system, (pair.reference + 1) % 3, pair.clusters)


@pytest.mark.parametrize("kind", KINDS)
@given(rows=CODES)
@settings(max_examples=40, deadline=None)
def test_an_interval_has_a_width_and_holds_its_value(kind: str, rows: list[tuple[int, int, int]]) -> None:
    system, reference, groups = (np.array(column, dtype=np.intp) for column in zip(*rows, strict=True))
    names, index = np.unique(groups, return_inverse=True)
    pair = pair_of(system, reference, Clusters(index, len(names)))
    found = only(KINDS[kind](pair), len(names))
    if found.value is not None and len(names) >= FEWEST_GROUPS:
        low, value, high = ends(found)
        assert low <= value <= high and low < high
        wider, narrower = (only(KINDS[kind](pair), len(names), level) for level in (0.99, 0.8))
        assert ends(wider)[0] <= ends(narrower)[0] + 1e-9 and ends(narrower)[2] <= ends(wider)[2] + 1e-9
    else:
        assert found.low is None and found.reason


@given(right=st.lists(st.booleans(), min_size=12, max_size=60), voices=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_share_of_texts_has_wilsons_interval_in_any_number_of_equal_voices(right: list[bool], voices: int) -> None:
    values = np.repeat(np.array(right), voices)
    clusters = Clusters(np.repeat(np.arange(len(right)), voices), len(right))
    low, _, high = ends(only(share(clusters, values, ""), len(right)))
    assert [low, high] == pytest.approx(proportion_confint(sum(right), len(right), method="wilson"), abs=1e-6)


def test_a_mean_of_numbers_that_vary_less_has_a_narrower_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.beta(8, 4, 400)
    low, value, high = ends(only(share(alone(400), values, ""), 400))
    reach = stats.norm.isf(0.025) * values.std() / np.sqrt(400)
    assert [low, high] == pytest.approx([value - reach, value + reach], abs=0.05 * reach)


@given(st.lists(st.floats(0.01, 0.99), min_size=6, max_size=6), st.floats(-1, 1))
def test_recovered_limits_are_those_of_independent_normal_numbers(parts: list[float], related: float) -> None:
    l1, v1, u1 = sorted(parts[:3])
    l2, v2, u2 = sorted(parts[3:])
    low, high = recovered((v1, v2), ((l1, u1), (l2, u2)), related)
    assert low <= v1 - v2 <= high
    back = recovered((v2, v1), ((l2, u2), (l1, u1)), related)
    assert [-back[1], -back[0]] == pytest.approx([low, high])
    even = recovered((0.0, 0.0), ((-1.0, 1.0), (-1.0, 1.0)), related)
    assert even == pytest.approx((-np.sqrt(2 - 2 * related), np.sqrt(2 - 2 * related)))


def test_two_references_with_the_same_answers_are_not_shown_to_be_the_same() -> None:
    rng = np.random.default_rng(1)
    pair = pair_of(rng.integers(0, 3, 40), rng.integers(0, 3, 40), alone(40))
    low, value, high = ends(only(difference(kappa(pair), kappa(pair), 40, ""), 40))
    assert value == 0 and low < -0.01 and high > 0.01
    influence = np.ones(40)
    assert 0.8 < correlation(influence, influence, 40, 0.95) < 1
    assert correlation(influence, influence, 10, 0.95) < correlation(influence, influence, 40, 0.95)
    assert correlation(influence, np.zeros(40), 40, 0.95) == 0


def test_a_contrast_is_narrower_where_its_terms_move_together() -> None:
    rng = np.random.default_rng(2)
    system, first = rng.integers(0, 3, (2, 300))
    second = np.where(rng.random(300) < 0.9, first, rng.integers(0, 3, 300))
    terms = one, other = [kappa(pair_of(system, reference, alone(300))) for reference in (first, second)]
    low, _, high = ends(only(difference(one, other, 300, ""), 300))
    alone_widths = [ends(only(term, 300)) for term in terms]
    independent = np.hypot(*(width[2] - width[0] for width in alone_widths))
    assert high - low < 0.6 * independent


def test_the_jackknife_of_a_mean_is_students_interval() -> None:
    values = np.random.default_rng(3).normal(size=25)
    found = only(smooth(lambda w: (w @ values) / w.sum(axis=1), 25, "", rests_on=25), 25)
    expected = stats.t.interval(0.95, 24, values.mean(), stats.sem(values))
    assert [found.low, found.high] == pytest.approx(list(expected))


def test_the_jackknife_of_many_groups_leaves_out_parts() -> None:
    values = np.random.default_rng(4).normal(size=5_000)
    found = only(smooth(lambda w: (w @ values) / w.sum(axis=1), 5_000, "", rests_on=5_000), 5_000)
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert [found.low, found.high] == pytest.approx(list(expected), abs=0.15 * 1.96 / np.sqrt(5_000))


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 0, 0, 1), (0, 1, 1, 5, 9)])
def test_degrees_of_freedom_are_those_of_the_variance_of_a_sample(values: tuple[float, ...]) -> None:
    """By enumeration: all samples, with replacement, of as many values."""
    deviations = np.array(values) - np.mean(values)
    variances = [np.var(sample, ddof=1) for sample in product(values, repeat=len(values))]
    assert degrees_of_freedom(deviations) == pytest.approx(2 * np.mean(variances) ** 2 / np.var(variances))


@given(st.lists(st.floats(-10, 10), min_size=FEWEST_GROUPS, max_size=60, unique=True))
@settings(deadline=None)
def test_long_tails_widen_an_interval_and_never_narrow_it(drawn: list[float]) -> None:
    values = np.array(drawn)
    count = len(values)
    narrow, wide = (
        only(smooth(lambda w: (w @ values) / w.sum(axis=1), count, "", rests_on=count, long_tailed=long), count)
        for long in (False, True)
    )
    if narrow.low is not None and narrow.high is not None:
        assert wide.low is not None and wide.high is not None
        assert wide.high - wide.low >= narrow.high - narrow.low


def test_no_jackknife_where_one_group_carries_the_value() -> None:
    top = np.zeros(20)
    top[3] = 1.0
    found = only(smooth(lambda w: w @ top, 20, "", rests_on=20, scale=np.log, back=np.exp), 20)
    assert found.value == 1 and found.low is None and found.reason


@pytest.mark.parametrize(("rows", "equal"), [(20, 19), (63, 62), (1000, 999)])
def test_one_row_that_differs_from_a_constant_shows_no_low_kappa(rows: int, equal: int) -> None:
    system, reference = np.zeros((2, rows), dtype=np.intp)
    reference[equal:] = 1
    pair = pair_of(system, reference, alone(rows))
    low, value, high = ends(only(kappa(pair), rows, 0.9))
    assert value == 0 and low < 0.8 < high


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_model_of_kappa_has_the_supposed_kappa_and_its_variance(seed: int) -> None:
    """By enumeration: all pairs of answers with the probabilities of the common-correlation model."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, p=[0.6, 0.3, 0.1], size=(2, 60))
    codes[1] = np.where(rng.random(60) < 0.5, codes[0], codes[1])
    score = KappaScore.of(pair_of(codes[0], codes[1], alone(60)))
    for supposed in (0.0, 0.3, 0.8, 0.99):
        shares = score._shares(supposed)
        table = supposed * np.diag(shares) + (1 - supposed) * np.outer(shares, shares)
        assert table.sum() == pytest.approx(1)
        by_chance = shares @ shares
        assert (np.trace(table) - by_chance) / (1 - by_chance) == pytest.approx(supposed)
        chance = shares[:, None] + shares[None] - by_chance
        residuals = np.eye(len(shares)) - chance - supposed * (1 - chance)
        assert (table * residuals).sum() == pytest.approx(0, abs=1e-12)
        assert score._expected(supposed) == pytest.approx(60 * (table * residuals**2).sum())


def test_the_model_fits_its_shares_by_maximum_likelihood() -> None:
    rng = np.random.default_rng(5)
    codes = rng.choice(3, p=[0.7, 0.2, 0.1], size=(2, 50))
    score = KappaScore.of(pair_of(codes[0], codes[1], alone(50)))
    counts = np.zeros((3, 3))
    np.add.at(counts, (codes[0], codes[1]), 1)

    def likelihood(shares: np.ndarray) -> float:
        return float((counts * np.log(0.6 * np.diag(shares) + 0.4 * np.outer(shares, shares))).sum())

    best = score._shares(0.6)
    for _ in range(200):
        other = np.abs(best + rng.normal(0, 0.02, 3))
        assert likelihood(other / other.sum()) <= likelihood(best) + 1e-9


def test_kappas_interval_covers_planted_kappas() -> None:
    """A quick look; `benchmarks/calibration.py` has the tables."""
    rng = np.random.default_rng(6)
    shares, planted, inside = np.array([0.5, 0.3, 0.2]), 0.7, 0
    for _ in range(300):
        system = rng.choice(3, p=shares, size=60)
        reference = np.where(rng.random(60) < planted, system, rng.choice(3, p=shares, size=60))
        low, _, high = ends(only(kappa(pair_of(system, reference, alone(60))), 60))
        inside += low <= planted <= high
    assert 0.91 < inside / 300 < 0.995


@pytest.mark.parametrize("texts", [100, 300])
def test_kappas_interval_covers_none_where_an_answer_is_rare(texts: int) -> None:
    """Rows with both rare answers make nearly all of kappa's variance, and often there is none or few."""
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(250):
        system, reference = rng.choice(2, p=[0.9, 0.1], size=(2, texts))
        low, _, high = ends(only(kappa(pair_of(system, reference, alone(texts))), texts))
        inside += low <= 0 <= high
    assert inside / 250 > 0.91
