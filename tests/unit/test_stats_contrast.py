"""The difference of two agreements of one system, against its parts and against plain resampling."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.compare import compare
from cascade_equivalence.stats.contrast import contrast

LABELS = ["a", "b", "c"]
ANSWER = st.sampled_from([*LABELS, "invalid"])
ROWS = st.lists(st.tuples(st.sampled_from(LABELS), ANSWER, ANSWER, ANSWER), min_size=1, max_size=25)
DIFFERENCES = ("kappa_difference", "observed_difference")


def answers(gold: list[str], parsed: list[str], groups: list[int] | None = None) -> pl.DataFrame:
    """An answers table; by default every item is a group of its own."""
    groups = groups or list(range(len(gold)))
    return pl.DataFrame(
        [
            {"id": f"{i:03}", "voice": "v", "group": f"{group:03}", "label": g, "parsed": p, "correct": g == p}
            for i, (g, p, group) in enumerate(zip(gold, parsed, groups, strict=True))
        ]
    )


def tables(rows: list[tuple[str, ...]], groups: list[int] | None = None) -> list[pl.DataFrame]:
    """Answers tables from (gold, answer of each system)."""
    gold, *systems = (list(column) for column in zip(*rows, strict=True))
    return [answers(gold, parsed, groups) for parsed in systems]


def node(rows: list[tuple[str, ...]], labels: list[str] = LABELS, **options: Any) -> dict[str, Any]:
    """The contrast node of (gold, system's, first's and second's answer)."""
    return contrast(*tables(rows), labels, **options)


def correlated(seed: int, groups: int, voices: int) -> tuple[list[tuple[str, ...]], list[int]]:
    """Rows in which the first reference follows the system more often than the second, whole groups alike."""
    rng = np.random.default_rng(seed)
    rows, numbers = [], []
    for group in range(groups):
        gold, base = (str(label) for label in rng.choice(LABELS, 2))
        kin = [base if rng.random() < share else str(rng.choice(LABELS)) for share in (0.8, 0.5)]
        for _ in range(voices):
            said = [answer if rng.random() < 0.9 else str(rng.choice(LABELS)) for answer in (base, *kin)]
            rows.append((gold, *said))
            numbers.append(group)
    return rows, numbers


@given(rows=ROWS, closed=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_node_is_json_and_the_difference_of_two_kappas_of_scikit_learn(
    rows: list[tuple[str, ...]], closed: bool
) -> None:
    found = node(rows, LABELS if closed else [])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    _, system, *references = (list(column) for column in zip(*rows, strict=True))
    kappas = []
    for name, reference in zip(("first", "second"), references, strict=True):
        value = found[name]["kappa"]["value"]
        kappas.append(value)
        if len({*system, *reference}) == 1:
            assert value is None
        else:
            assert value == pytest.approx(cohen_kappa_score(system, reference), abs=1e-12)
    difference = found["kappa_difference"]
    assert (difference["value"] is None) == (None in kappas)
    assert (difference["low"] is None) <= (difference["reason"] is not None)
    if None not in kappas:
        assert difference["value"] == pytest.approx(kappas[0] - kappas[1], abs=1e-12)
    agreed = [np.mean([a == b for a, b in zip(system, reference, strict=True)]) for reference in references]
    assert found["observed_difference"]["value"] == pytest.approx(agreed[0] - agreed[1], abs=1e-12)


@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_its_parts_are_those_of_the_agreement_nodes(rows: list[tuple[str, ...]]) -> None:
    system, first, second = tables(rows)
    found = contrast(system, first, second, LABELS)
    for name, reference in (("first", first), ("second", second)):
        pair = compare(system, reference, LABELS, draws=60, seed=3)
        assert found[name]["kappa"] == pair["kappa"] and found[name]["observed_agreement"] == pair["observed_agreement"]
        assert found[name]["accuracy"] == pair["reference"]["accuracy"]
        assert found[name]["against_chance"] == pair["reference"]["against_chance"]
        assert found["system"]["against_chance"] == pair["system"]["against_chance"]


@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_two_references_that_are_the_same_are_not_shown_to_be_the_same(
    rows: list[tuple[str, ...]],
) -> None:
    found = node([(gold, system, first, first) for gold, system, first, _ in rows])
    for name in DIFFERENCES:
        each = found[name]
        assert each["value"] in (0, None) and (each["value"] == 0 or name == "kappa_difference")
        if each["low"] is not None:
            assert each["low"] < 0 < each["high"]


@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_swapping_the_references_turns_the_sign(rows: list[tuple[str, ...]]) -> None:
    one, other = node(rows), node([(gold, system, second, first) for gold, system, first, second in rows])
    for name in DIFFERENCES:
        if one[name]["value"] is None:
            assert other[name]["value"] is None
            continue
        assert one[name]["value"] == -other[name]["value"]
        if one[name]["low"] is not None:
            assert [one[name]["low"], one[name]["high"]] == pytest.approx(
                [-other[name]["high"], -other[name]["low"]], abs=1e-6
            )


def test_interval_is_about_that_of_a_plain_resampling_loop() -> None:
    rows, groups = correlated(5, groups=200, voices=3)
    found = contrast(*tables(rows, groups), LABELS)
    by_group = [[row for row, number in zip(rows, groups, strict=True) if number == group] for group in range(200)]
    rng, loop = np.random.default_rng(8), []
    for _ in range(800):
        _, system, first, second = zip(
            *(row for group in rng.integers(0, 200, 200) for row in by_group[group]), strict=True
        )
        loop.append(_kappa(system, first) - _kappa(system, second))
    difference, spread = found["kappa_difference"], float(np.std(loop))
    # The standard error of a 2.5 % quantile over 800 draws is 0.1 standard deviations.
    assert [difference["low"], difference["high"]] == pytest.approx(
        np.quantile(loop, [0.025, 0.975]), abs=0.35 * spread
    )
    assert difference["low"] > 0, "the first reference was made to follow the system more often"


def _kappa(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """Cohen's kappa from its definition."""
    agreed = np.mean([a == b for a, b in zip(one, other, strict=True)])
    by_chance = sum(one.count(label) * other.count(label) for label in LABELS) / len(one) ** 2
    return float((agreed - by_chance) / (1 - by_chance))


def test_pairing_narrows_the_interval() -> None:
    """Two references that mostly err together: their agreements with the system move together from draw to draw."""
    rows, groups = correlated(1, groups=150, voices=1)
    rng = np.random.default_rng(2)
    rows = [(g, s, f, f if rng.random() < 0.9 else str(rng.choice(LABELS))) for g, s, f, _ in rows]
    found = contrast(*tables(rows, groups), LABELS)
    width = {key: found[key]["kappa"]["high"] - found[key]["kappa"]["low"] for key in ("first", "second")}
    paired = found["kappa_difference"]["high"] - found["kappa_difference"]["low"]
    assert paired < 0.7 * np.hypot(width["first"], width["second"])


def test_a_kappa_that_does_not_exist_is_named() -> None:
    found = node([("a", "a", "b", "a"), ("b", "a", "a", "a"), ("c", "a", "b", "a")])
    difference = found["kappa_difference"]
    assert found["first"]["kappa"]["value"] is not None and found["second"]["kappa"]["value"] is None
    assert difference["value"] is difference["low"] is None
    assert "κ with the second reference does not exist" in difference["reason"]
    assert found["observed_difference"]["value"] == pytest.approx(1 / 3 - 1)


def test_one_group_has_no_interval() -> None:
    rows = [("a", "a", "a", "b"), ("b", "b", "a", "b"), ("c", "c", "c", "c")]
    found = contrast(*tables(rows, [0, 0, 0]), LABELS)
    assert found["kappa_difference"]["value"] is not None and found["kappa_difference"]["low"] is None
    assert "one group" in found["kappa_difference"]["reason"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (0, "the system has no answer for 002 in voice v"),
        (1, "the first reference has no answer for 002 in voice v"),
        (2, "the second reference has no answer for 002 in voice v"),
    ],
)
def test_clips_that_one_of_the_three_lacks_are_named(broken: int, message: str) -> None:
    three = tables([("a", "a", "b", "c")] * 3)
    three[broken] = three[broken][:2]
    with pytest.raises(StudyError, match=message):
        contrast(*three, LABELS)


def test_duplicates_and_other_labels_are_refused() -> None:
    system, first, second = tables([("a", "a", "b", "c")] * 3)
    with pytest.raises(StudyError, match="second reference's answers have more than one row"):
        contrast(system, first, pl.concat([second, second]), LABELS)
    other = first.with_columns(label=pl.lit("b"), correct=pl.col("parsed") == "b")
    with pytest.raises(StudyError, match="another label"):
        contrast(system, other, second, LABELS)
