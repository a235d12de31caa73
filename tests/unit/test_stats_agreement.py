"""Cohen's kappa and its cluster bootstrap, against scikit-learn and against plain resampling."""

import random
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from cascade_equivalence.stats import bootstrap
from cascade_equivalence.stats.agreement import cohen_kappa, count_table, kappa, lumped, observed_agreement
from cascade_equivalence.stats.bootstrap import draw_weights, intervals
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate, ratio
from cascade_equivalence.stats.indices import ac1, kappa_max, pabak
from cascade_equivalence.stats.paired import Paired

LABELS = ["a", "b", "c", "d"]
ANSWER = st.sampled_from([*LABELS, "invalid"])
PAIRS = st.lists(st.tuples(ANSWER, ANSWER, st.integers(0, 9)), min_size=1, max_size=60)


def paired(rows: list[tuple[str, str, int]], labels: list[str] = LABELS) -> Paired:
    """Pairs from (system's answer, reference's answer, group)."""
    system, reference, groups = zip(*rows, strict=True)
    joined = pl.DataFrame(
        {
            "group": [f"{group:05}" for group in groups],
            "label": ["a"] * len(rows),
            "system_parsed": system,
            "reference_parsed": reference,
            "system_correct": [answer == "a" for answer in system],
            "reference_correct": [answer == "a" for answer in reference],
        }
    )
    return Paired.of(joined, labels)


def correlated(rng: np.random.Generator, groups: int, voices: int) -> list[tuple[str, str, int]]:
    """Pairs whose voices mostly repeat their text's answer."""
    rows = []
    for group in range(groups):
        base = rng.choice(LABELS, p=[0.4, 0.3, 0.2, 0.1])
        follows = base if rng.random() < 0.7 else rng.choice(LABELS)
        rows += [(base, follows if rng.random() < 0.9 else rng.choice(LABELS), group) for _ in range(voices)]
    return rows


def kappa_of(pair: Paired, draws: int = 200, seed: int = 0) -> Estimate:
    """Kappa with its interval."""
    return estimate({"k": kappa(pair)}, pair.clusters.count, draws=draws, confidence=0.95, seed=seed)["k"]


@given(rows=PAIRS, closed=st.booleans())
@settings(deadline=None)
def test_kappa_is_scikit_learns(rows: list[tuple[str, str, int]], closed: bool) -> None:
    found = kappa_of(paired(rows, LABELS if closed else []), draws=1).value
    system, reference, _ = zip(*rows, strict=True)
    if len({*system, *reference}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(system, reference), abs=1e-12)


@given(rows=PAIRS)
@settings(deadline=None)
def test_kappa_is_statsmodels(rows: list[tuple[str, str, int]]) -> None:
    pair = paired(rows)
    found = kappa_of(pair, draws=1).value
    if found is not None:
        assert found == pytest.approx(cohens_kappa(count_table(pair), return_results=False), abs=1e-12)


@given(rows=PAIRS, closed=st.booleans())
@settings(deadline=None)
def test_lumping_keeps_every_answer_that_both_give_apart(rows: list[tuple[str, str, int]], closed: bool) -> None:
    pair = paired(rows, LABELS if closed else [])
    system, reference, count = lumped(pair)
    assert np.array_equal(system == reference, pair.system == pair.reference)
    common = {*pair.system.tolist()} & {*pair.reference.tolist()}
    assert count == len(common) + 2 and max(*system, *reference) < count
    for codes, before in ((system, pair.system), (reference, pair.reference)):
        names = {(int(new) if old in common else "only one's") for new, old in zip(codes, before, strict=True)}
        assert len(names) == len({(old if old in common else "only one's") for old in before.tolist()})
    assert not {*system[~np.isin(pair.system, [*common])]} & {*reference}


@given(counts=st.lists(st.integers(0, 30), min_size=18, max_size=18))
@settings(deadline=None)
def test_kappa_of_count_tables_runs_over_leading_axes(counts: list[int]) -> None:
    tables = np.array(counts, dtype=float).reshape(2, 3, 3)
    both = cohen_kappa(np.trace(tables, axis1=1, axis2=2), tables.sum(-1), tables.sum(-2))
    for table, value in zip(tables, both, strict=True):
        assert np.array_equal(cohen_kappa(np.trace(table), table.sum(-1), table.sum(-2)), value, equal_nan=True)
        assert np.isnan(value) or -1 <= value <= 1


@given(rows=PAIRS)
@settings(deadline=None)
def test_count_table_holds_every_row_once_and_gives_the_same_kappa(rows: list[tuple[str, str, int]]) -> None:
    pair = paired(rows)
    table = count_table(pair)
    assert table.sum() == len(rows)
    for system, reference, _ in rows:
        row, column = pair.categories.index(system), pair.categories.index(reference)
        assert table[row, column] == sum(1 for r in rows if r[:2] == (system, reference))
    value = cohen_kappa(np.trace(table), table.sum(-1), table.sum(-2))
    assert (None if np.isnan(value) else float(value)) == kappa_of(pair, draws=1).value


@given(rows=PAIRS, order=st.randoms(use_true_random=False), names=st.permutations(LABELS))
@settings(max_examples=30, deadline=None)
def test_nothing_depends_on_row_order_or_on_the_names_of_labels(
    rows: list[tuple[str, str, int]], order: random.Random, names: list[str]
) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    rename = dict(zip(LABELS, names, strict=True)) | {"invalid": "invalid"}
    renamed = [(rename[system], rename[reference], group) for system, reference, group in rows]
    assert kappa_of(paired(rows)) == kappa_of(paired(shuffled)) == kappa_of(paired(renamed))


@given(rows=PAIRS)
@settings(max_examples=30, deadline=None)
def test_swapping_the_systems_changes_nothing(rows: list[tuple[str, str, int]]) -> None:
    assert kappa_of(paired(rows)) == kappa_of(paired([(b, a, group) for a, b, group in rows]))


def test_same_answers_agree_fully() -> None:
    found = kappa_of(paired([(label, label, i) for i, label in enumerate(LABELS * 5)]))
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_constant_systems_have_no_kappa_but_full_agreement() -> None:
    pair = paired([("invalid", "invalid", i) for i in range(5)])
    found = kappa_of(pair, draws=50)
    assert found.value is None and found.low is None and found.undefined_draws == 50
    assert found.reason and "same answer to every item" in found.reason
    agreed = estimate({"o": observed_agreement(pair)}, 5, draws=50, confidence=0.95, seed=0)["o"]
    assert agreed.value == agreed.low == agreed.high == 1


def test_draws_without_kappa_are_counted_and_left_out() -> None:
    found = kappa_of(paired([("a", "a", 0), ("a", "a", 1), ("b", "b", 2)]), draws=3000)
    # A draw of three groups misses the one group with another answer with probability (2/3)^3; a draw of only that
    # group, with probability (1/3)^3, is constant as well.
    assert found.undefined_draws / 3000 == pytest.approx((2 / 3) ** 3 + (1 / 3) ** 3, abs=0.04)
    assert (found.low, found.high) == (1, 1)


def test_no_interval_where_no_draw_has_a_kappa() -> None:
    pair, clusters = paired([("a", "a", 0), ("b", "b", 1)]), 2
    seed = next(s for s in range(100) if not (next(draw_weights(clusters, 1, s)) == 1).all())
    found = kappa_of(pair, draws=1, seed=seed)
    assert found.value == 1 and found.low is None and found.undefined_draws == 1
    assert found.reason and found.reason.startswith("no interval")


def test_one_group_has_no_interval() -> None:
    found = kappa_of(paired([("a", "a", 0), ("b", "a", 0), ("b", "b", 0)]))
    assert found.value is not None and found.low is None and found.reason and "one group" in found.reason


def test_interval_is_that_of_a_plain_resampling_loop() -> None:
    rng = np.random.default_rng(4)
    rows = correlated(rng, groups=50, voices=4)
    by_group = [[r for r in rows if r[2] == group] for group in range(50)]
    loop = []
    for _ in range(1500):
        sample = [row for group in rng.integers(0, 50, 50) for row in by_group[group]]
        table = count_table(paired(sample))
        loop.append(float(cohen_kappa(np.trace(table), table.sum(-1), table.sum(-2))))
    found = kappa_of(paired(rows), draws=10_000)
    # The standard error of a 2.5 % quantile over 1,500 draws is 0.07 standard deviations; an interval over rows would
    # end about 0.9 standard deviations further in.
    assert [found.low, found.high] == pytest.approx(np.quantile(loop, [0.025, 0.975]), abs=0.25 * float(np.std(loop)))


def test_repeating_every_text_in_six_identical_voices_adds_nothing() -> None:
    rows = correlated(np.random.default_rng(1), groups=120, voices=1)
    once, six = kappa_of(paired(rows), draws=2000), kappa_of(paired(rows * 6), draws=2000)
    assert [six.value, six.low, six.high] == pytest.approx([once.value, once.low, once.high], abs=1e-12)
    as_if_independent = kappa_of(paired([(a, b, i) for i, (a, b, _) in enumerate(rows * 6)]), draws=2000)
    width = (six.high or 0) - (six.low or 0)
    assert (as_if_independent.high or 0) - (as_if_independent.low or 0) < 0.55 * width


@given(groups=st.integers(1, 40), draws=st.integers(1, 1200), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_weights_take_as_many_groups_as_there_are(groups: int, draws: int, seed: int) -> None:
    weights = np.concatenate(list(draw_weights(groups, draws, seed)))
    assert weights.shape == (draws, groups)
    assert (weights.sum(axis=1) == groups).all() and (weights >= 0).all()
    assert np.array_equal(weights, np.concatenate(list(draw_weights(groups, draws, seed))))


def test_weights_are_multinomial() -> None:
    weights = np.concatenate(list(draw_weights(20, 20_000, 3)))
    covariance = np.cov(weights.T)
    assert weights.mean(axis=0) == pytest.approx(np.ones(20), abs=0.04)
    assert covariance == pytest.approx(np.eye(20) - 1 / 20, abs=0.05)


def test_mean_interval_is_the_analytic_one() -> None:
    values = np.random.default_rng(0).normal(size=400)
    clusters = Clusters.of([f"{i:03}" for i in range(400)])
    mean = ratio(clusters.totals(values), clusters.totals(np.ones(400)), "")
    found = estimate({"m": mean}, 400, draws=10_000, confidence=0.95, seed=0)["m"]
    half = 1.96 * values.std() / 20
    assert [found.low, found.high] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.1 * half)


def many_statistics() -> tuple[dict[str, Statistic], int]:
    """Statistics of all kinds over the same groups: of few and of many sums, of whole numbers or not, of no sums."""
    rows = correlated(np.random.default_rng(3), groups=90, voices=3)
    pair = paired(rows)
    opened = paired([(f"{a} {group % 80}", f"{b} {group % 80}", group) for a, b, group in rows], [])
    groups = pair.clusters
    halves = ratio(groups.totals(np.random.default_rng(0).random(len(rows))), groups.totals(np.ones(len(rows))), "")
    statistics = {
        "kappa": kappa(pair),
        "kappa_max": kappa_max(pair),
        "pabak": pabak(pair),
        "ac1": ac1(pair),
        "open kappa": kappa(opened),
        "open kappa_max": kappa_max(opened),
        "halves": halves,
        "difference": Statistic(lambda w: kappa(pair).of(w) - halves.of(w), ""),
    }
    return statistics, groups.count


def test_what_statistics_share_changes_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics, groups = many_statistics()
    options = {"draws": 1100, "confidence": 0.9, "seed": 7}
    together = estimate(statistics, groups, **options)
    for name, statistic in statistics.items():
        assert estimate({name: statistic}, groups, **options)[name] == together[name]
        drawn = np.concatenate([statistic.of(weights) for weights in draw_weights(groups, 1100, 7)])
        assert [together[name].low, together[name].high] == np.quantile(
            drawn, [(1 - 0.9) / 2, 1 - (1 - 0.9) / 2]
        ).tolist()
        assert together[name].value == statistic.of(np.ones((1, groups)))[0]
    monkeypatch.setattr(bootstrap, "KEPT_BYTES", 0)
    assert estimate(statistics, groups, **options) == together
    monkeypatch.setattr(bootstrap, "NARROW", 0)
    assert estimate(statistics, groups, **options) == together


@given(top=st.lists(st.integers(2**22, 2**40), min_size=2, max_size=8), draws=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_sums_beyond_single_precision_stay_exact(top: list[int], draws: int) -> None:
    weights = next(draw_weights(len(top), draws, 0))
    total = ratio(np.array(top, dtype=float), np.ones(len(top)), "")
    found = intervals({"t": total}, np.ones(len(top)), [weights.astype(np.float32)], confidence=0.5, no_interval=None)[
        "t"
    ]
    exact = [sum(int(w) * value for w, value in zip(row, top, strict=True)) / len(top) for row in weights]
    assert [found.low, found.high] == np.quantile(exact, [0.25, 0.75]).tolist()
    assert found.value == sum(top) / len(top)


def test_kept_weights_are_those_of_the_seed_even_if_a_statistic_writes_to_its_weights() -> None:
    seen: list[np.ndarray] = []

    def spoil(weights: np.ndarray) -> np.ndarray:
        seen.append(weights.copy())
        weights.fill(-1)
        return weights[:, 0]

    for _ in range(2):
        estimate({"spoilt": Statistic(spoil, "")}, 30, draws=700, confidence=0.9, seed=11)
    ones, *chunks = seen[:3]
    assert (ones == 1).all() and np.array_equal(np.concatenate(chunks), np.concatenate([*draw_weights(30, 700, 11)]))
    assert all(np.array_equal(once, again) for once, again in zip(seen[:3], seen[3:], strict=True))


@pytest.mark.parametrize("labels", [LABELS, []])
def test_ten_thousand_draws_are_quick(labels: list[str]) -> None:
    rows = correlated(np.random.default_rng(2), groups=1000, voices=6)
    if not labels:
        rows = [(f"{a} {group % 900}", f"{b} {group % 900}", group) for a, b, group in rows]
    pair = paired(rows, labels)
    start = time.process_time()
    kappa_of(pair, draws=10_000)
    assert time.process_time() - start < 5  # about 0.2 s on an idle core; a loop over the draws takes minutes
