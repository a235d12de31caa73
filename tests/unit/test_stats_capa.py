"""CAPA against enumeration, simulation and error consistency."""

import itertools
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.stats.capa import COMPLETE, capa, expected_agreement, no_capa
from cascade_equivalence.stats.error_consistency import error_consistency
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate

LABELS = ["a", "b", "c", "d"]
ROWS = st.integers(2, 4).flatmap(
    lambda count: st.tuples(
        st.just(LABELS[:count]),
        st.lists(
            st.tuples(st.sampled_from(LABELS[:count]), *[st.sampled_from([*LABELS[:count], "invalid"])] * 2),
            min_size=1,
            max_size=25,
        ),
    )
)


def paired(rows: list[tuple[str, str, str]], labels: list[str], groups: list[int] | None = None) -> Paired:
    """Pairs from (gold, system's answer, reference's answer)."""
    gold, system, reference = zip(*rows, strict=True)
    joined = pl.DataFrame(
        {
            "group": [f"{group:05}" for group in groups or range(len(rows))],
            "label": gold,
            "system_parsed": system,
            "reference_parsed": reference,
            "system_correct": [g == a for g, a in zip(gold, system, strict=True)],
            "reference_correct": [g == a for g, a in zip(gold, reference, strict=True)],
        }
    )
    return Paired.of(joined, labels)


def exact(rows: list[tuple[str, str, str]], labels: list[str], *, invalid_pairs: bool = False) -> Fraction | None:
    """CAPA in fractions, from its definition."""
    n = len(rows)
    same = Fraction(sum(s == r and (invalid_pairs or s != "invalid") for _, s, r in rows), n)
    a, b = (Fraction(sum(row[0] == row[i] for row in rows), n) for i in (1, 2))
    by_chance = a * b + (1 - a) * (1 - b) / (len(labels) - 1)
    return None if by_chance == 1 else (same - by_chance) / (1 - by_chance)


@given(case=ROWS, invalid_pairs=st.booleans())
@settings(deadline=None)
def test_capa_is_its_definition(case: tuple[list[str], list[tuple[str, str, str]]], invalid_pairs: bool) -> None:
    labels, rows = case
    statistic = capa(paired(rows, labels), with_invalid_pairs=invalid_pairs)
    found = estimate({"c": statistic}, len(rows), 0.9)["c"]
    expected = exact(rows, labels, invalid_pairs=invalid_pairs)
    if expected is None:
        assert found.value is None and found.reason == COMPLETE
    else:
        assert found.value == pytest.approx(float(expected)) and found.value <= 1 + 1e-9


@given(case=ROWS)
@settings(deadline=None)
def test_a_system_agrees_fully_with_itself_if_all_its_answers_could_be_parsed(
    case: tuple[list[str], list[tuple[str, str, str]]],
) -> None:
    labels, rows = case
    same = paired([(gold, answer, answer) for gold, answer, _ in rows], labels)
    strict, lenient = (capa(same, with_invalid_pairs=pairs).of(np.ones((1, len(rows))))[0] for pairs in (False, True))
    if not np.isnan(lenient):
        assert lenient == pytest.approx(1)
        assert (strict == pytest.approx(1)) == all(answer != "invalid" for _, answer, _ in rows)


@given(rows=st.lists(st.tuples(*[st.sampled_from(["a", "b"])] * 3), min_size=1, max_size=30))
@settings(deadline=None)
def test_with_two_labels_it_is_error_consistency(rows: list[tuple[str, str, str]]) -> None:
    pair, weights = paired(rows, ["a", "b"]), np.ones((1, len(rows)))
    assert capa(pair).of(weights) == pytest.approx(error_consistency(pair).of(weights), nan_ok=True)


@pytest.mark.parametrize(("labels", "rows"), [(3, 2), (4, 2), (2, 3), (3, 3)])
def test_over_all_answers_agreement_is_what_chance_gives(labels: int, rows: int) -> None:
    """Two systems that each give every possible sequence of answers once: independent, with even errors."""
    names = LABELS[:labels]
    above = Fraction(0)
    for system in itertools.product(names, repeat=rows):
        for reference in itertools.product(names, repeat=rows):
            same = Fraction(sum(s == r for s, r in zip(system, reference, strict=True)), rows)
            right = [Fraction(sum(answer == "a" for answer in answers), rows) for answers in (system, reference)]
            above += same - Fraction(expected_agreement(float(right[0]), float(right[1]), labels)).limit_denominator(
                999
            )
    assert above == 0


def test_unrelated_systems_are_at_zero_and_favourite_errors_above() -> None:
    rng, weights = np.random.default_rng(0), np.ones((1, 30_000))
    gold = rng.choice(LABELS, 30_000)

    def answers(accuracy: float, preference: list[float]) -> list[str]:
        steps = np.where(rng.random(30_000) < accuracy, 0, rng.choice([1, 2, 3], 30_000, p=preference))
        return [LABELS[(LABELS.index(g) + step) % 4] for g, step in zip(gold, steps, strict=True)]

    for preference, low, high in (([1 / 3] * 3, -0.02, 0.02), ([0.9, 0.05, 0.05], 0.05, 0.3)):
        rows = list(zip(gold.tolist(), answers(0.6, preference), answers(0.7, preference), strict=True))
        found = capa(paired(rows, LABELS)).of(weights)[0]
        assert low < found < high


def test_intervals_draw_whole_texts() -> None:
    rng = np.random.default_rng(3)
    rows = [("a", str(s), str(s if rng.random() < 0.6 else r)) for s, r in rng.choice(LABELS, (60, 2))]
    pairs = paired(rows, LABELS), paired(rows * 6, LABELS, list(range(60)) * 6)
    one, six = (estimate({"c": capa(p)}, 60, 0.95)["c"] for p in pairs)
    assert (one.value, one.low, one.high) == pytest.approx((six.value, six.low, six.high))
    assert one.low and one.high and one.low < (one.value or 0) < one.high


def test_open_answers_and_single_labels_have_none() -> None:
    assert "open answers" in (no_capa([]) or "") and "wrong answer" in (no_capa(["a"]) or "")
    assert no_capa(["a", "b"]) is None


@pytest.mark.parametrize(("wrong", "shown"), [(9, False), (10, True)])
def test_an_interval_rests_on_the_texts_with_an_error(wrong: int, shown: bool) -> None:
    labels = LABELS[:3]
    errors = [("a", "b", "b" if text % 2 else "c") for text in range(wrong)]
    pair = paired([*errors, *[("a", "a", "a"), ("b", "b", "b")] * 30], labels)
    for name, statistic in {"capa": capa(pair), "consistency": error_consistency(pair)}.items():
        found = estimate({name: statistic}, len(pair.gold), 0.95)[name]
        assert found.value is not None and (found.low is not None) is shown
        assert bool(found.reason) is not shown
