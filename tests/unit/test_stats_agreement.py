"""Cohen's kappa and its interval, against scikit-learn and against plain resampling."""

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from cascade_equivalence.stats.agreement import cohen_kappa, count_table, kappa, lumped, observed_agreement
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, estimate

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


def kappa_of(pair: Paired) -> Estimate:
    """Kappa with its interval."""
    return estimate({"k": kappa(pair)}, pair.clusters.count, 0.95)["k"]


@given(rows=PAIRS, closed=st.booleans())
@settings(deadline=None)
def test_kappa_is_scikit_learns(rows: list[tuple[str, str, int]], closed: bool) -> None:
    found = kappa_of(paired(rows, LABELS if closed else [])).value
    system, reference, _ = zip(*rows, strict=True)
    if len({*system, *reference}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(system, reference), abs=1e-12)


@given(rows=PAIRS)
@settings(deadline=None)
def test_kappa_is_statsmodels(rows: list[tuple[str, str, int]]) -> None:
    pair = paired(rows)
    found = kappa_of(pair).value
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
    assert (None if np.isnan(value) else float(value)) == kappa_of(pair).value


def alike(found: Estimate, other: Estimate) -> bool:
    """The same but for rounding: sums of other orders differ in the last digit."""
    ends = [(each.value, each.low, each.high) for each in (found, other)]
    same = all(
        one == two or (None not in (one, two) and abs(one - two) < 1e-12) for one, two in zip(*ends, strict=True)
    )
    return same and found.reason == other.reason


@given(rows=PAIRS, order=st.randoms(use_true_random=False), names=st.permutations(LABELS))
@settings(max_examples=30, deadline=None)
def test_nothing_depends_on_row_order_or_on_the_names_of_labels(
    rows: list[tuple[str, str, int]], order: random.Random, names: list[str]
) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    rename = dict(zip(LABELS, names, strict=True)) | {"invalid": "invalid"}
    renamed = [(rename[system], rename[reference], group) for system, reference, group in rows]
    assert alike(kappa_of(paired(shuffled)), kappa_of(paired(rows)))
    assert alike(kappa_of(paired(renamed)), kappa_of(paired(rows)))


@given(rows=PAIRS)
@settings(max_examples=30, deadline=None)
def test_swapping_the_systems_changes_nothing(rows: list[tuple[str, str, int]]) -> None:
    assert alike(kappa_of(paired([(b, a, group) for a, b, group in rows])), kappa_of(paired(rows)))


def test_same_answers_agree_fully() -> None:
    found = kappa_of(paired([(label, label, i) for i, label in enumerate(LABELS * 5)]))
    assert found.value == found.high == 1
    # That no text was answered differently does not show that none would be.
    assert found.low is not None and 0 < found.low < 1


def test_constant_systems_have_no_kappa_but_full_agreement() -> None:
    pair = paired([("invalid", "invalid", i) for i in range(5)])
    found = kappa_of(pair)
    assert found.value is None and found.low is None
    assert found.reason and "same answer to every item" in found.reason
    agreed = estimate({"o": observed_agreement(pair)}, 5, 0.95)["o"]
    assert agreed.value == 1


def test_one_group_has_no_interval() -> None:
    found = kappa_of(paired([("a", "a", 0), ("b", "a", 0), ("b", "b", 0)]))
    assert found.value is not None and found.low is None and found.reason and "one group" in found.reason


@given(groups=st.integers(2, 9))
def test_few_groups_have_no_interval(groups: int) -> None:
    found = kappa_of(paired([(label, "a", group) for group in range(groups) for label in LABELS]))
    assert found.value is not None and found.low is None and found.reason and "too few" in found.reason


def test_interval_is_about_that_of_a_plain_resampling_loop() -> None:
    rng = np.random.default_rng(4)
    rows = correlated(rng, groups=300, voices=4)
    by_group = [[r for r in rows if r[2] == group] for group in range(300)]
    loop = []
    for _ in range(1000):
        sample = [row for group in rng.integers(0, 300, 300) for row in by_group[group]]
        table = count_table(paired(sample))
        loop.append(float(cohen_kappa(np.trace(table), table.sum(-1), table.sum(-2))))
    found = kappa_of(paired(rows))
    # Many texts, so both ways agree; an interval over rows would end about 0.9 standard deviations further in.
    assert [found.low, found.high] == pytest.approx(np.quantile(loop, [0.025, 0.975]), abs=0.3 * float(np.std(loop)))


def test_repeating_every_text_in_six_identical_voices_adds_nothing() -> None:
    rows = correlated(np.random.default_rng(1), groups=120, voices=1)
    once, six = kappa_of(paired(rows)), kappa_of(paired(rows * 6))
    assert [six.value, six.low, six.high] == pytest.approx([once.value, once.low, once.high], abs=1e-12)
    as_if_independent = kappa_of(paired([(a, b, i) for i, (a, b, _) in enumerate(rows * 6)]))
    width = (six.high or 0) - (six.low or 0)
    assert (as_if_independent.high or 0) - (as_if_independent.low or 0) < 0.55 * width
