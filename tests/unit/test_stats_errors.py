"""McNemar's test against statsmodels, and the error overlap against enumeration."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from cascade_equivalence.stats import overlap
from cascade_equivalence.stats.bootstrap import estimate
from cascade_equivalence.stats.mcnemar import EXACT_BELOW, adjust, mcnemar
from cascade_equivalence.stats.paired import Paired

LABELS = ["a", "b", "c"]
ANSWER = st.sampled_from([*LABELS, "invalid"])
ROWS = st.lists(st.tuples(st.sampled_from(LABELS), ANSWER, ANSWER), min_size=1, max_size=40)


def paired(rows: list[tuple[str, str, str]], labels: list[str] = LABELS) -> Paired:
    """Pairs from (gold, system's answer, reference's answer), one group a row."""
    gold, system, reference = zip(*rows, strict=True)
    joined = pl.DataFrame(
        {
            "group": [f"{i:04}" for i in range(len(rows))],
            "label": gold,
            "system_parsed": system,
            "reference_parsed": reference,
            "system_correct": [g == a for g, a in zip(gold, system, strict=True)],
            "reference_correct": [g == a for g, a in zip(gold, reference, strict=True)],
        }
    )
    return Paired.of(joined, labels)


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
    found = estimate({"o": overlap.error_overlap(pair)}, count, draws=100, confidence=0.9, seed=0)["o"]
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
