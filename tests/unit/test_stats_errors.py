"""McNemar's test against statsmodels, the error overlap and its permutation test against enumeration."""

import itertools
import json
import random
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from cascade_equivalence.stats import overlap
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.errors import errors
from cascade_equivalence.stats.mcnemar import EXACT_BELOW, adjust, mcnemar
from cascade_equivalence.stats.overlap_permutation import NO_EXCHANGE, permutation_test
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate

LABELS = ["a", "b", "c"]
ANSWER = st.sampled_from([*LABELS, "invalid"])
ROWS = st.lists(st.tuples(st.sampled_from(LABELS), ANSWER, ANSWER), min_size=1, max_size=40)
TWO_GOLDS = {"a": ["b", "c", "d", "invalid"], "b": ["a", "c", "d", "invalid"]}
WRONG = st.sampled_from(sorted(TWO_GOLDS)).flatmap(
    lambda gold: st.tuples(st.just(gold), *[st.sampled_from(TWO_GOLDS[gold])] * 2)
)


def paired(rows: list[tuple[str, str, str]], labels: list[str] = LABELS, groups: list[int] | None = None) -> Paired:
    """Pairs from (gold, system's answer, reference's answer); one group a row, unless groups are given."""
    gold, system, reference = zip(*rows, strict=True)
    joined = pl.DataFrame(
        {
            "group": [f"{i:04}" for i in groups or range(len(rows))],
            "label": gold,
            "system_parsed": system,
            "reference_parsed": reference,
            "system_correct": [g == a for g, a in zip(gold, system, strict=True)],
            "reference_correct": [g == a for g, a in zip(gold, reference, strict=True)],
        }
    )
    return Paired.of(joined, labels)


def unrelated(
    rng: np.random.Generator, texts: int, voices: int, stick: float
) -> tuple[list[tuple[str, str, str]], list[int]]:
    """Rows that two systems got wrong for reasons of their own, and their groups; voices stick to a text's answer."""
    rows, groups = [], []
    for text in range(texts):
        gold = "abcd"[text % 4]
        pool = [label for label in "abcd" if label != gold]
        favourites = rng.choice(pool, 2, p=[0.6, 0.3, 0.1])
        for _ in range(voices):
            own = [str(f if rng.random() < stick else rng.choice(pool)) for f in favourites]
            rows.append((gold, own[0], own[1]))
            groups.append(text)
    return rows, groups


@given(b=st.integers(0, 200), c=st.integers(0, 200))
@settings(deadline=None)
def test_mcnemar_is_that_of_statsmodels(b: int, c: int) -> None:
    found = mcnemar(b, c)
    assert found.p == mcnemar(c, b).p and 0 <= found.p <= 1
    if b == c:
        assert found.p == 1
    else:
        expected = statsmodels_mcnemar([[7, b], [c, 9]], exact=b + c < EXACT_BELOW, correction=True)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-9)


def test_mcnemar_without_discordance() -> None:
    assert (mcnemar(0, 0).p, mcnemar(0, 0).method) == (1.0, "no discordant rows")


@given(values=st.lists(st.none() | st.floats(0, 1), max_size=12))
@settings(deadline=None)
def test_adjusted_p_values_are_those_of_statsmodels(values: list[float | None]) -> None:
    found = adjust(values)
    tested = [p for p in values if p is not None]
    assert [i for i, p in enumerate(found) if p is None] == [i for i, p in enumerate(values) if p is None]
    if tested:
        expected = multipletests(tested, method="fdr_bh")[1]
        assert [p for p in found if p is not None] == pytest.approx(list(expected))


@given(rows=ROWS, closed=st.booleans())
@settings(deadline=None)
def test_overlap_is_what_counting_gives(rows: list[tuple[str, str, str]], closed: bool) -> None:
    pair = paired(rows, LABELS if closed else [])
    wrong = [(system, reference) for gold, system, reference in rows if gold not in (system, reference)]
    same = [system for system, reference in wrong if system == reference != "invalid"]
    count = len(rows)
    found = estimate({"o": overlap.error_overlap(pair)}, count, 0.9)["o"]
    assert int(overlap.both_wrong(pair).sum()) == len(wrong)
    if not wrong:
        assert found.value is None and found.reason == overlap.NONE_WRONG and overlap.with_invalid_pairs(pair) is None
        return
    assert found.value == pytest.approx(len(same) / len(wrong))
    lenient = overlap.with_invalid_pairs(pair)
    assert lenient == pytest.approx(sum(s == r for s, r in wrong) / len(wrong))
    if found.low is not None and found.high is not None:
        assert 0 <= found.low <= found.high <= 1


@given(rows=st.lists(st.tuples(st.sampled_from(LABELS), ANSWER, ANSWER), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_empirical_chance_is_the_mean_over_all_permutations_within_gold(rows: list[tuple[str, str, str]]) -> None:
    pair = paired(rows)
    wrong = [row for row in rows if row[0] not in row[1:]]
    found, reason = overlap.empirical_chance(pair)
    if not wrong:
        assert found is None and reason == overlap.NONE_WRONG
        return
    shares = []
    for order in itertools.permutations(range(len(wrong))):
        if all(wrong[i][0] == wrong[j][0] for i, j in enumerate(order)):
            same = [wrong[i][1] == wrong[j][2] != "invalid" for i, j in enumerate(order)]
            shares.append(np.mean(same))
    assert found == pytest.approx(np.mean(shares))


def test_empirical_chance_of_even_errors_is_the_uniform_one() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for gold in LABELS * 400:
        rest = [label for label in LABELS if label != gold]
        rows.append((gold, str(rng.choice(rest)), str(rng.choice(rest))))
    assert overlap.empirical_chance(paired(rows))[0] == pytest.approx(overlap.uniform_chance(LABELS)[0], abs=0.01)


def test_open_answers_have_an_empirical_chance_over_all_items() -> None:
    rows = [(f"gold {i}", f"wrong {i}", f"wrong {i}") for i in range(10)]
    found, _ = overlap.empirical_chance(paired(rows, []))
    assert found == pytest.approx(0.1)  # each answer meets its like in one of ten rows
    assert overlap.uniform_chance([])[0] is None


@pytest.mark.parametrize("labels", [2, 3, 5, 7])
def test_uniform_chance(labels: int) -> None:
    value, remark = overlap.uniform_chance([str(i) for i in range(labels)])
    assert value == pytest.approx(1 / (labels - 1))
    assert (remark is not None) == (labels == 2)


@given(rows=st.lists(WRONG, min_size=1, max_size=30), data=st.data())
@settings(deadline=None)
def test_ratio_is_overlap_by_chance_and_a_plain_loop_over_pairs_in_every_draw(
    rows: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    groups = data.draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    pair = paired(rows, ["a", "b", "c", "d"], groups)
    names = sorted(set(groups))
    drawn = data.draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
    weight = dict(zip(names, drawn, strict=True))
    statistic = overlap.overlap_ratio(pair)
    chance, _ = overlap.empirical_chance(pair)
    value = statistic.of(np.ones((1, len(names))))[0]
    same = float(overlap.same_wrong(pair).sum()) / len(rows)
    assert np.isnan(value) if not chance else value == pytest.approx(same / chance)

    by_chance = 0.0
    for gold in TWO_GOLDS:
        part = [(row, group) for row, group in zip(rows, groups, strict=True) if row[0] == gold]
        matches = meetings = 0
        for (one, group), (other, second) in itertools.product(part, part):
            times = weight[group] * (weight[second] if group != second else 1)
            meetings += times
            matches += times * (one[1] == other[2] != "invalid")
        if meetings:
            by_chance += sum(weight[group] for _, group in part) * matches / meetings
    found = statistic.of(np.array([drawn], dtype=float))[0]
    observed = sum(weight[group] * (s == r != "invalid") for (_, s, r), group in zip(rows, groups, strict=True))
    assert np.isnan(found) if not by_chance else found == pytest.approx(observed / by_chance)


def test_interval_of_the_ratio_lies_around_its_value() -> None:
    """Copies of a text in a draw would raise chance, and lower the ratio, in almost every draw."""
    rng = np.random.default_rng(0)
    rows, groups = unrelated(rng, texts=80, voices=3, stick=1.0)
    rows = [(gold, system, system if i % 4 else reference) for i, (gold, system, reference) in enumerate(rows)]
    pair = paired(rows, ["a", "b", "c", "d"], groups)
    found = estimate({"r": overlap.overlap_ratio(pair)}, 80, 0.95)["r"]
    assert found.value and found.low and found.high
    drawn = overlap.overlap_ratio(pair).of(np.random.default_rng(1).multinomial(80, [1 / 80] * 80, 2000).astype(float))
    assert found.low < found.value < found.high
    assert 0.35 < np.mean(drawn < found.value) < 0.65


def test_no_common_wrong_answer_has_no_ratio() -> None:
    rows = [("a", "b", "c"), ("a", "b", "c"), ("b", "invalid", "invalid")]
    for labels, why in ((LABELS, overlap.NOTHING_COMMON), (LABELS, overlap.NONE_WRONG)):
        pair = paired(rows if why == overlap.NOTHING_COMMON else [("a", "a", "b")], labels)
        found = estimate({"r": overlap.overlap_ratio(pair)}, pair.clusters.count, 0.9)
        assert found["r"].value is None and found["r"].reason == why


@given(rows=st.lists(WRONG, min_size=1, max_size=6), data=st.data(), closed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_permutations_are_those_that_exchange_whole_texts_alike(
    rows: list[tuple[str, str, str]], data: st.DataObject, closed: bool
) -> None:
    """Against all permutations of the rows, of which those are kept that hand on whole texts."""
    groups = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    labels = ["a", "b", "c", "d"] if closed else []
    texts = [(row[0] if closed else "", group) for row, group in zip(rows, groups, strict=True)]
    sizes = {text: texts.count(text) for text in texts}
    kinds = [(text[0], sizes[text]) for text in sizes]
    found = permutation_test(paired(rows, labels, groups), labels, draws=3000, confidence=0.9)
    assert found.texts == len(sizes) and found.exchanged == sum(kinds.count(kind) > 1 for kind in kinds)
    if not found.exchanged:
        assert found.p is found.mean is None and found.reason == NO_EXCHANGE
        return
    shares = []
    for order in itertools.permutations(range(len(rows))):
        given_by = {text: {texts[order[i]] for i in range(len(rows)) if texts[i] == text} for text in sizes}
        whole = all(len(donors) == 1 for donors in given_by.values())
        if whole and all(text[0] == donor[0] and sizes[text] == sizes[donor] for text, (donor,) in given_by.items()):
            shares.append(np.mean([rows[i][1] == rows[order[i]][2] != "invalid" for i in range(len(rows))]))
    observed = np.mean([system == reference != "invalid" for _, system, reference in rows])
    assert found.mean == pytest.approx(np.mean(shares), abs=0.05)
    assert found.p == pytest.approx(np.mean(np.array(shares) >= observed - 1e-9), abs=0.05)


def test_mean_permutation_of_single_rows_is_the_empirical_chance() -> None:
    rows, _ = unrelated(np.random.default_rng(3), texts=200, voices=1, stick=1.0)
    for labels in (["a", "b", "c", "d"], []):
        pair = paired(rows, labels)
        found = permutation_test(pair, labels, draws=4000)
        assert found.mean == pytest.approx(overlap.empirical_chance(pair)[0], abs=0.003)
        assert found.low and found.mean and found.high and found.low < found.mean < found.high


def test_unrelated_errors_have_even_p_values_if_voices_go_together() -> None:
    labels = ["a", "b", "c", "d"]
    together, apart = [], []
    for seed in range(120):
        rows, groups = unrelated(np.random.default_rng(seed), texts=40, voices=6, stick=0.95)
        pair = paired(rows, labels, groups)
        rows_apart = replace(pair, clusters=Clusters.of([f"{i:04}" for i in range(len(rows))]))
        together.append(permutation_test(pair, labels, draws=199, seed=seed).p or 0)
        apart.append(permutation_test(rows_apart, labels, draws=199, seed=seed).p or 0)
    # 120 even p-values: 0.05 +- 0.02 of them lie below 0.05, their mean is 0.5 +- 0.026.
    assert np.mean(np.array(together) <= 0.05) < 0.12 and 0.4 < np.mean(together) < 0.62
    assert np.mean(np.array(together) <= 0.5) == pytest.approx(0.5, abs=0.15)
    assert np.mean(np.array(apart) <= 0.05) > 0.15


def test_the_same_errors_have_the_smallest_p_value() -> None:
    rows, groups = unrelated(np.random.default_rng(0), texts=60, voices=3, stick=0.8)
    pair = paired([(gold, system, system) for gold, system, _ in rows], ["a", "b", "c", "d"], groups)
    found = permutation_test(pair, ["a", "b", "c", "d"], draws=999)
    assert found.at_least == 0 and found.p == 1 / 1000 and found.high and found.high < 1


def test_repeating_every_clip_adds_no_evidence() -> None:
    labels = ["a", "b", "c", "d"]
    rows, groups = unrelated(np.random.default_rng(7), texts=80, voices=1, stick=1.0)
    rows = [(gold, system, system if i % 12 == 0 else reference) for i, (gold, system, reference) in enumerate(rows)]
    once, six = (permutation_test(paired(rows * n, labels, groups * n), labels, draws=4000) for n in (1, 6))
    assert once.p and 0.005 < once.p < 0.3  # so that a change would show
    assert six.p == pytest.approx(once.p, abs=0.03)
    assert [six.mean, six.low, six.high] == pytest.approx([once.mean, once.low, once.high], abs=0.015)
    independent = permutation_test(paired(rows * 6, labels), labels, draws=4000)
    assert independent.p and independent.p < once.p / 4


@given(order=st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_permutations_do_not_depend_on_the_order_of_rows(order: random.Random) -> None:
    rows, groups = unrelated(np.random.default_rng(2), texts=12, voices=3, stick=0.5)
    shuffled = list(zip(rows, groups, strict=True))
    order.shuffle(shuffled)
    again = paired([row for row, _ in shuffled], ["a", "b", "c", "d"], [group for _, group in shuffled])
    pair = paired(rows, ["a", "b", "c", "d"], groups)
    options = {"draws": 300, "seed": 5}
    assert permutation_test(again, LABELS, **options) == permutation_test(pair, LABELS, **options)
    assert permutation_test(pair, LABELS, draws=300, seed=6) != permutation_test(pair, LABELS, **options)


def test_where_there_is_no_permutation_test() -> None:
    binary = permutation_test(paired([("a", "b", "b"), ("a", "b", "b")], ["a", "b"]), ["a", "b"], draws=10)
    nothing = permutation_test(paired([("a", "a", "b")]), LABELS, draws=10)
    alone = permutation_test(paired([("a", "b", "b"), ("b", "c", "c")]), LABELS, draws=10)
    assert [found.reason for found in (binary, nothing, alone)] == [overlap.ONE_WRONG, overlap.NONE_WRONG, NO_EXCHANGE]
    for found in (binary, nothing, alone):
        assert {found.mean, found.low, found.high, found.p, found.at_least} == {None}


@given(rows=ROWS, labels=st.sampled_from([LABELS, []]), heard=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_section_on_errors_is_json_and_says_why_something_is_missing(
    rows: list[tuple[str, str, str]], labels: list[str], heard: bool
) -> None:
    pair = paired(rows, labels)
    joined = pl.DataFrame({"id": [str(i) for i in range(len(rows))], "voice": ["v"] * len(rows)})
    transcripts = joined.with_columns(word_errors=pl.int_range(pl.len()) % 3) if heard else None
    found = errors(joined, pair, labels, heard=transcripts, draws=40, confidence=0.9, seed=1)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {"permutation", "ratio", "consistency", "capa", "induced"}
    assert found["permutation"] == asdict(permutation_test(pair, labels, draws=40, confidence=0.9, seed=1))
    for each in (found["ratio"], found["capa"], found["consistency"]["kappa"], found["consistency"]["copied"]):
        assert (each["value"] is None) <= bool(each["reason"])
    assert (found["permutation"]["p"] is None) == bool(found["permutation"]["reason"])
    assert (found["consistency"]["kappa"]["value"] is None) == (found["consistency"]["lowest"] is None)
    assert (found["induced"]["reason"] is None) == heard and (found["capa"]["expected"] is None) == (not labels)


def test_two_labels_have_capa_but_no_ratio() -> None:
    rows = [("a", "b", "b"), ("b", "b", "a"), ("a", "a", "a"), ("b", "a", "a")]
    joined = pl.DataFrame({"id": list("1234"), "voice": ["v"] * 4})
    found = errors(joined, paired(rows, ["a", "b"]), ["a", "b"], heard=None, draws=20)
    assert found["ratio"]["value"] is None and found["ratio"]["reason"] == overlap.ONE_WRONG
    assert found["permutation"]["reason"] == overlap.ONE_WRONG
    assert found["capa"]["value"] == pytest.approx(found["consistency"]["kappa"]["value"])
