"""Kappa max, PABAK and AC1 against enumeration and statsmodels; draws of rows against plain resampling."""

import json
import random
from dataclasses import asdict
from fractions import Fraction
from itertools import permutations, product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from cascade_equivalence.stats.agreement import count_table, kappa, observed_agreement
from cascade_equivalence.stats.by_rows import (
    ROWS_A_KIND,
    answer_kinds,
    by_rows,
    correctness_kinds,
    distinct,
    draw_kinds,
)
from cascade_equivalence.stats.indices import NAMES, OPEN, ac1, index_statistics, indices, kappa_max, pabak, why_not
from cascade_equivalence.stats.overlap import error_overlap
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, estimate

LABELS = ["a", "b", "c"]
INVALID = "invalid"
ANSWER = st.sampled_from([*LABELS, INVALID])
Row = tuple[str, str, int]
ROWS = st.lists(st.tuples(ANSWER, ANSWER, st.integers(0, 6)), min_size=1, max_size=40)
MEASURES = ("kappa", "observed_agreement", "accuracy_difference", "overlap")


def paired(rows: list[Row], labels: list[str] = LABELS, gold: str = "a") -> Paired:
    """Pairs from (system's answer, reference's answer, group); one gold label throughout."""
    system, reference, groups = zip(*rows, strict=True)
    joined = pl.DataFrame(
        {
            "group": [f"{group:05}" for group in groups],
            "label": [gold] * len(rows),
            "system_parsed": system,
            "reference_parsed": reference,
            "system_correct": [answer == gold for answer in system],
            "reference_correct": [answer == gold for answer in reference],
        }
    )
    return Paired.of(joined, labels)


def found(pair: Paired, *, closed: bool = True, draws: int = 1) -> dict[str, Estimate]:
    """Kappa, observed agreement and the three."""
    statistics = {
        "kappa": kappa(pair),
        "observed_agreement": observed_agreement(pair),
        **index_statistics(pair, closed=closed),
    }
    return estimate(statistics, pair.clusters.count, 0.95)


def values(rows: list[Row], labels: list[str] = LABELS) -> dict[str, float | None]:
    """Values on the data as they are."""
    return {name: each.value for name, each in found(paired(rows, labels), closed=bool(labels)).items()}


def resampled(pair: Paired, draws: int, seed: int) -> dict[str, np.ndarray]:
    """The four measures of rows drawn one sample after the other, by other means than ours; NaN where undefined."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(draws):
        rows = rng.integers(0, len(pair.system), len(pair.system))
        one, other = pair.system[rows], pair.reference[rows]
        right, others_right = pair.system_correct[rows], pair.reference_correct[rows]
        wrong = ~right & ~others_right
        drawn["kappa"].append(cohen_kappa_score(one, other) if len({*one, *other}) > 1 else np.nan)
        drawn["observed_agreement"].append(np.mean(one == other))
        drawn["accuracy_difference"].append(np.mean(right) - np.mean(others_right))
        shared = (one == other)[wrong] & (one != pair.invalid)[wrong]
        drawn["overlap"].append(np.mean(shared) if wrong.any() else np.nan)
    return {name: np.array(each) for name, each in drawn.items()}


def voices_of(texts: int, voices: int, answers: int = 3, seed: int = 0) -> list[Row]:
    """Pairs whose voices mostly repeat their text's answers."""
    rng = np.random.default_rng(seed)
    names = [*LABELS, *(f"answer {i}" for i in range(answers - 3))]
    rows: list[Row] = []
    for text in range(texts):
        base = str(rng.choice(names))
        follows = base if rng.random() < 0.6 else str(rng.choice(names))
        for _ in range(voices):
            rows.append((base, follows if rng.random() < 0.8 else str(rng.choice([*names, INVALID])), text))
    return rows


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of statsmodels' standard errors
@given(rows=ROWS, closed=st.booleans())
@settings(deadline=None)
def test_kappa_max_bounds_kappa_and_is_statsmodels(rows: list[Row], closed: bool) -> None:
    pair = paired(rows, LABELS if closed else [])
    value, largest = (found(pair, closed=closed)[name].value for name in ("kappa", "kappa_max"))
    if len({*pair.system, *pair.reference}) == 1:
        assert value is None and largest is None
        return
    assert value is not None and largest is not None and value <= largest <= 1 and largest >= 0
    theirs = cohens_kappa(count_table(pair))
    assert [value, largest] == pytest.approx([theirs.kappa, theirs.kappa_max], abs=1e-12)


@given(rows=st.lists(st.tuples(ANSWER, ANSWER, st.integers(0, 6)), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_kappa_max_is_the_largest_kappa_of_any_order_of_one_systems_answers(rows: list[Row]) -> None:
    system, reference, _ = zip(*rows, strict=True)
    assume(len({*system, *reference}) > 1)
    best = max(cohen_kappa_score(system, order) for order in set(permutations(reference)))
    assert values(rows)["kappa_max"] == pytest.approx(best, abs=1e-12)


@given(rows=ROWS, order=st.randoms(use_true_random=False), equal=st.booleans())
@settings(deadline=None)
def test_kappa_max_is_one_exactly_where_the_margins_are_equal(
    rows: list[Row], order: random.Random, equal: bool
) -> None:
    if equal:
        shuffled = [system for system, _, _ in rows]
        order.shuffle(shuffled)
        rows = [(system, other, group) for (system, _, group), other in zip(rows, shuffled, strict=True)]
    system, reference, _ = zip(*rows, strict=True)
    assume(len({*system, *reference}) > 1)
    assert (values(rows)["kappa_max"] == 1) == (sorted(system) == sorted(reference))


def test_kappa_max_is_zero_where_one_system_is_constant() -> None:
    assert values([("a", other, i) for i, other in enumerate("aabbc")])["kappa_max"] == 0
    assert values([("a", "b", i) for i in range(5)])["kappa_max"] == 0


@given(rows=ROWS)
@settings(deadline=None)
def test_pabak_is_kappa_with_even_chance_and_twice_the_agreement_less_one_for_two(rows: list[Row]) -> None:
    answers = {answer for row in rows for answer in row[:2]}
    count = len(LABELS) + (INVALID in answers)
    agreed = Fraction(sum(one == other for one, other, _ in rows), len(rows))
    chance = Fraction(1, count)
    assert values(rows)["pabak"] == pytest.approx(float((agreed - chance) / (1 - chance)), abs=1e-12)
    two = [tuple("b" if answer in ("c", INVALID) else answer for answer in row[:2]) + row[2:] for row in rows]
    both = values(two, ["a", "b"])
    assert both["pabak"] == pytest.approx(2 * (both["observed_agreement"] or 0) - 1, abs=1e-12)


@given(rows=ROWS)
@settings(deadline=None)
def test_ac1_is_that_of_enumeration(rows: list[Row]) -> None:
    pool = [answer for row in rows for answer in row[:2]]
    count = len(LABELS) + (INVALID in pool)
    # sum_k pi_k (1 - pi_k) is the probability that two answers, drawn from all answers of both systems, differ.
    differ = Fraction(sum(one != other for one, other in product(pool, pool)), len(pool) ** 2)
    chance = differ / (count - 1)
    agreed = Fraction(sum(one == other for one, other, _ in rows), len(rows))
    assert values(rows)["ac1"] == pytest.approx(float((agreed - chance) / (1 - chance)), abs=1e-12)


def test_a_declared_label_counts_though_it_does_not_occur_and_invalid_only_if_it_does() -> None:
    rows = [("a", "a", 0), ("b", "b", 1), ("a", "b", 2), ("b", "a", 3)]
    assert values(rows, ["a", "b"])["pabak"] == pytest.approx(0)
    assert values(rows, ["a", "b", "c"])["pabak"] == pytest.approx((3 * 0.5 - 1) / 2)
    rows[0] = ("a", INVALID, 0)
    assert values(rows, ["a", "b"])["pabak"] == pytest.approx((3 * 0.25 - 1) / 2)


@given(rows=ROWS, order=st.randoms(use_true_random=False), names=st.permutations(LABELS))
@settings(max_examples=30, deadline=None)
def test_nothing_depends_on_row_order_on_names_or_on_which_system_is_first(
    rows: list[Row], order: random.Random, names: list[str]
) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    rename = dict(zip(LABELS, names, strict=True)) | {INVALID: INVALID}
    renamed = [(rename[one], rename[other], group) for one, other, group in rows]
    swapped = [(other, one, group) for one, other, group in rows]
    expected = found(paired(rows))
    assert expected == found(paired(shuffled)) == found(paired(renamed))
    assert expected == found(paired(swapped))


@given(rows=ROWS, seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_weights_count_rows(rows: list[Row], seed: int) -> None:
    pair = paired(rows)
    weights = np.random.default_rng(seed).integers(0, 3, (1, pair.clusters.count)).astype(float)
    repeated = [row for row in rows for _ in range(int(weights[0, sorted({r[2] for r in rows}).index(row[2])]))]
    assume(repeated)
    # An answer can be gone from the rows that are left, but K is that of all rows.
    assume({INVALID in row[:2] for row in repeated} == {INVALID in row[:2] for row in rows})
    for statistic in (kappa_max, pabak, ac1):
        left = statistic(paired(repeated))
        expected = left.of(np.ones((1, paired(repeated).clusters.count)))
        assert statistic(pair).of(weights) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_constant_systems_have_no_kappa_max_but_full_agreement_otherwise() -> None:
    estimates = found(paired([("a", "a", i) for i in range(6)]))
    assert estimates["kappa_max"].value is None
    assert estimates["kappa_max"].reason and "same answer to every item" in estimates["kappa_max"].reason
    assert estimates["pabak"].value == estimates["ac1"].value == 1


def test_a_single_category_leaves_nothing_to_agree_on() -> None:
    estimates = found(paired([("a", "a", i) for i in range(6)], ["a"]))
    for name in ("pabak", "ac1"):
        assert estimates[name].value is None and "one category" in (estimates[name].reason or "")
    answers = [("a", "a", 0), ("a", INVALID, 1), ("a", "a", 2)]
    assert values(answers, ["a"])["pabak"] == pytest.approx(2 * 2 / 3 - 1)


def test_all_invalid_is_a_category_like_others() -> None:
    both = values([(INVALID, INVALID, i) for i in range(4)])
    assert both["kappa_max"] is None and both["pabak"] == both["ac1"] == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_open_answers_have_kappa_max_alone_and_a_reason() -> None:
    rows = [("paris", "paris", 0), ("rome", "oslo", 1), (INVALID, "bern", 2), ("rome", "rome", 3)]
    pair = paired(rows, [])
    node = indices(found(pair, closed=False), closed=False)
    assert tuple(node) == NAMES and json.loads(json.dumps(node, allow_nan=False)) == node
    assert node["kappa_max"]["value"] == pytest.approx(cohens_kappa(count_table(pair)).kappa_max)
    for name in ("pabak", "ac1"):
        assert node[name] == asdict(Estimate(None, None, None, OPEN))
    assert why_not(closed=False) == OPEN and why_not(closed=True) is None
    closed = found(paired(voices_of(9, 2)))
    assert indices(closed, closed=True) == {name: asdict(closed[name]) for name in NAMES}


@given(rows=ROWS, closed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_by_rows_has_the_values_of_the_pair_whatever_the_draws(rows: list[Row], closed: bool) -> None:
    pair = paired(rows, LABELS if closed else [])
    drawn = by_rows(pair, draws=30, confidence=0.9, seed=1)
    assert json.loads(json.dumps(drawn, allow_nan=False)) == drawn
    expected = found(pair, closed=closed)
    assert [drawn[name]["value"] for name in MEASURES[:2]] == [expected[name].value for name in MEASURES[:2]]
    gain = np.mean(pair.system_correct) - np.mean(pair.reference_correct)
    assert drawn["accuracy_difference"]["value"] == pytest.approx(gain)
    overlap = estimate({"o": error_overlap(pair)}, pair.clusters.count, 0.9)["o"].value
    assert drawn["overlap"]["value"] == overlap


@given(rows=ROWS, order=st.randoms(use_true_random=False), closed=st.booleans())
@settings(max_examples=30, deadline=None)
def test_by_rows_depends_neither_on_row_order_nor_on_groups(
    rows: list[Row], order: random.Random, closed: bool
) -> None:
    labels = LABELS if closed else []
    rows = [*rows, rows[0]]  # so that some group has two rows
    shuffled = [(one, other, 0) for one, other, _ in rows]
    order.shuffle(shuffled)
    one, two = (by_rows(paired(each, labels), draws=30, confidence=0.9, seed=1) for each in (rows, shuffled))
    assert one == two


@given(rows=ROWS, closed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_rows_of_one_kind_cannot_be_told_apart(rows: list[Row], closed: bool) -> None:
    pair = paired(rows, LABELS if closed else [])
    kinds, numbers = distinct(pair, answer_kinds(pair))
    assert numbers.sum() == len(rows) and (np.diff(numbers) <= 0).all() and len(numbers) == kinds.clusters.count
    assert kappa(kinds).of(numbers[None].astype(float)) == pytest.approx(
        kappa(pair).of(np.ones((1, pair.clusters.count))), abs=0, nan_ok=True
    )
    rights, numbers = distinct(pair, correctness_kinds(pair))
    assert len(numbers) <= 5 and numbers.sum() == len(rows)
    for arm in ("system_correct", "reference_correct"):
        assert getattr(rights, arm) @ numbers == getattr(pair, arm).sum()


@pytest.mark.parametrize(("answers", "labels"), [(3, LABELS), (60, [])])
def test_intervals_by_rows_are_those_of_plain_resampling(answers: int, labels: list[str]) -> None:
    pair = paired(voices_of(60, 6, answers), labels)
    kinds, rows = distinct(pair, answer_kinds(pair))
    assert (kinds.clusters.count * ROWS_A_KIND > rows.sum()) == (not labels)  # both ways of drawing
    drawn = by_rows(pair, draws=8000, confidence=0.9, seed=3)
    plain = resampled(pair, 1200, seed=4)
    for name in MEASURES:
        spread = float(np.nanstd(plain[name]))
        ends = np.nanquantile(plain[name], [0.05, 0.95])
        # The standard error of a 5 % quantile over 1,200 draws is 0.06 standard deviations. Drawing whole texts would
        # move the ends of the first two intervals by about one standard deviation.
        assert [drawn[name]["low"], drawn[name]["high"]] == pytest.approx(ends, abs=0.25 * spread)


@pytest.mark.parametrize("kinds", [6, 40])
def test_counts_of_kinds_are_multinomial(kinds: int) -> None:
    rows = np.sort(np.random.default_rng(0).integers(1, 6, kinds))[::-1]
    total = int(rows.sum())
    rows[0] += max(0, 200 - total) if kinds == 6 else 0
    total = int(rows.sum())
    assert (kinds * ROWS_A_KIND > total) == (kinds == 40)  # both ways of drawing
    counts = np.concatenate(list(draw_kinds(rows, 20_000, 1))).astype(float)
    assert counts.shape == (20_000, kinds) and (counts.sum(axis=1) == total).all()
    share = rows / total
    covariance = total * (np.diag(share) - np.outer(share, share))
    error = np.sqrt(np.diag(covariance) / len(counts))
    assert (np.abs(counts.mean(axis=0) - rows) < 5 * error).all()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert (np.abs(np.cov(counts.T) - covariance) < 0.06 * scale).all()


def test_parts_of_the_draws_do_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for pair in (paired(voices_of(30, 4)), paired(voices_of(30, 4, 60), [])):
        whole = by_rows(pair, draws=300, confidence=0.9, seed=3)
        with monkeypatch.context() as patch:
            patch.setattr("cascade_equivalence.stats.by_rows.BLOCK", 500)
            assert by_rows(pair, draws=300, confidence=0.9, seed=3) == whole


def test_intervals_by_rows_are_narrower_where_voices_agree() -> None:
    pair = paired(voices_of(80, 6))
    drawn, texts = by_rows(pair, draws=2000, confidence=0.95, seed=0), found(pair)["kappa"]
    width = (texts.high or 0) - (texts.low or 0)
    assert drawn["kappa"]["high"] - drawn["kappa"]["low"] < 0.8 * width


def test_what_does_not_exist_by_rows_has_a_reason() -> None:
    constant: dict[str, Any] = by_rows(paired([("b", "b", 0)] * 4), draws=20, confidence=0.9, seed=0)
    assert constant["kappa"]["value"] is None
    assert "same answer to every item" in constant["kappa"]["reason"]
    assert (constant["overlap"]["value"], constant["overlap"]["low"]) == (1, None)
    right = by_rows(paired([("a", "a", 0)] * 4), draws=20, confidence=0.9, seed=0)
    assert right["overlap"]["value"] is None and "wrongly by both" in right["overlap"]["reason"]
    single = by_rows(paired([("a", "b", 0)]), draws=20, confidence=0.9, seed=0)
    assert single["kappa"]["value"] == 0 and single["kappa"]["low"] is None and single["kappa"]["reason"]


def test_one_text_of_many_voices_has_an_interval_by_rows_alone() -> None:
    rows = [("a", "a", 0), ("b", "b", 0), ("a", "b", 0), ("c", "c", 0)] * 10
    assert found(paired(rows))["kappa"].low is None
    drawn = by_rows(paired(rows), draws=100, confidence=0.9, seed=0)["kappa"]
    assert drawn["low"] < drawn["value"] < drawn["high"] and drawn["reason"] is None
