"""A whole agreement node and an accuracy summary: consistency of the parts, and the awkward cases."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.accuracy import change, summarise
from cascade_equivalence.stats.compare import compare
from cascade_equivalence.stats.statistic import Estimate

LABELS = ["a", "b", "c"]
ANSWER = st.sampled_from([*LABELS, "invalid"])
ROWS = st.lists(st.tuples(st.sampled_from(LABELS), ANSWER, ANSWER), min_size=1, max_size=20)


def answers(gold: list[str], parsed: list[str], voices: int = 1) -> pl.DataFrame:
    """An answers table, one group an item; every voice gets the same answer."""
    return pl.DataFrame(
        [
            {"id": f"{i:03}", "voice": str(v), "group": f"{i:03}", "label": g, "parsed": p, "correct": g == p}
            for i, (g, p) in enumerate(zip(gold, parsed, strict=True))
            for v in range(voices)
        ]
    )


def node(rows: list[tuple[str, str, str]], labels: list[str] = LABELS, **options: Any) -> dict[str, Any]:
    """The agreement node of (gold, system's answer, reference's answer)."""
    gold, system, reference = (list(column) for column in zip(*rows, strict=True))
    return compare(answers(gold, system), answers(gold, reference), labels, **{"draws": 60, **options})


def estimates(tree: Any) -> list[dict[str, Any]]:
    """Every estimate in a JSON tree."""
    if not isinstance(tree, dict):
        return []
    return ([tree] if {"value", "low", "high"} <= tree.keys() else []) + [
        e for part in tree.values() for e in estimates(part)
    ]


@given(rows=ROWS, closed=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_node_is_json_and_its_parts_fit_together(rows: list[tuple[str, str, str]], closed: bool) -> None:
    found = node(rows, LABELS if closed else [])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["rows"] == found["groups"] == len(rows)
    test, gap = found["mcnemar"], found["accuracy_difference"]["value"]
    assert gap == pytest.approx((test["b"] - test["c"]) / len(rows))
    assert gap == pytest.approx(found["system"]["accuracy"]["value"] - found["reference"]["accuracy"]["value"])
    agreed = sum(s == r for _, s, r in rows) / len(rows)
    assert found["observed_agreement"]["value"] == pytest.approx(agreed)
    for each in estimates(found):
        assert (each["value"] is None) <= (each["reason"] is not None)
        if each["low"] is not None:
            assert each["low"] <= each["high"]
    if closed:
        assert np.trace(found["counts"]["table"]) == pytest.approx(agreed * len(rows))
    else:
        assert found["counts"] is None and found["levels"]["chance"] is None


def test_all_answers_invalid() -> None:
    found = node([("a", "invalid", "invalid"), ("b", "invalid", "invalid")])
    assert found["kappa"]["value"] is None and found["kappa"]["reason"]
    assert found["overlap"]["value"] == 0 and found["overlap"]["with_invalid_pairs"] == 1
    assert found["system"]["parse_rate"]["value"] == 0 and found["system"]["against_chance"] == "unknown"
    summary = summarise(answers(["a", "b"], ["invalid"] * 2), LABELS)
    assert summary["accuracy_among_parsed"]["value"] is None and summary["accuracy_among_parsed"]["reason"]


def test_nothing_wrong_in_both() -> None:
    found = node([("a", "a", "b"), ("b", "b", "b"), ("c", "a", "c")])
    assert found["overlap"]["value"] is None and found["overlap"]["both_wrong"] == 0
    assert found["overlap"]["reason"] == found["overlap"]["chance"]["empirical"]["reason"]


def test_binary_overlap_is_marked_as_saying_nothing() -> None:
    found = node([("a", "b", "b"), ("b", "a", "a"), ("a", "a", "a")], ["a", "b"])
    assert found["overlap"]["informative"] is False and found["overlap"]["chance"]["uniform"]["value"] == 1
    assert found["overlap"]["value"] == found["overlap"]["chance"]["empirical"]["value"] == 1


def test_one_number_has_one_interval_in_every_part_of_a_node() -> None:
    rng = np.random.default_rng(0)
    gold = [str(label) for label in rng.choice(LABELS, 80)]
    parsed = [g if rng.random() < 0.6 else "invalid" for g in gold]
    found = node(list(zip(gold, parsed, [*gold[1:], "a"], strict=True)))
    judged, parts = found["equivalence"], (("kappa", "kappa"), ("accuracy", "accuracy_difference"))
    for part, name in parts:
        assert [judged[part][end] for end in ("low", "high")] == [found[name][end] for end in ("low", "high")]
    summary = summarise(answers(gold, parsed), LABELS)
    assert summary["accuracy"] == found["system"]["accuracy"]
    for name in ("own_chance", "against_chance"):
        assert summary[name] == found["system"][name]


def test_seed_and_confidence_reach_the_draws_of_rows_and_the_intervals() -> None:
    rows = [("a", "abc"[i % 3], "abc"[i * i % 3]) for i in range(30)]
    assert node(rows, seed=1) == node(rows, seed=1)
    assert node(rows, seed=1)["kappa"] == node(rows, seed=2)["kappa"]
    assert node(rows, seed=1)["by_rows"] != node(rows, seed=2)["by_rows"]
    wide, narrow = node(rows, confidence=0.99)["kappa"], node(rows, confidence=0.5)["kappa"]
    assert wide["low"] < narrow["low"] and narrow["high"] < wide["high"]


def test_accuracy_among_parsed_leaves_out_what_could_not_be_parsed() -> None:
    table = answers(list("aabbccabca"), ["a", "b", "invalid", "b", "c", "invalid", "a", "c", "c", "invalid"])
    summary = summarise(table, LABELS)
    parsed = table.filter(pl.col("parsed") != "invalid")
    assert summary["accuracy_among_parsed"]["value"] == pytest.approx(parsed["correct"].mean())
    assert summary["parsed"] == parsed.height and summary["correct"] == table["correct"].sum()


def test_voices_of_one_text_are_one_group() -> None:
    gold, parsed = ["a", "b", "c"] * 10, ["a", "b", "a"] * 10
    one = summarise(answers(gold, parsed), LABELS)
    six = summarise(answers(gold, parsed, voices=6), LABELS)
    assert (six["rows"], six["groups"], six["voices"]) == (180, 30, 6)
    assert six["accuracy"] == pytest.approx(one["accuracy"])


def test_levels_and_where_an_accuracy_lies() -> None:
    gold = ["a"] * 60 + ["b"] * 30 + ["c"] * 30
    constant = summarise(answers(gold, ["b"] * 120), LABELS)
    assert constant["levels"] == {"chance": pytest.approx(1 / 3), "majority": 0.5, "reason": None}
    assert (constant["accuracy"]["value"], constant["parse_rate"]["value"]) == (0.25, 1)
    assert summarise(answers(gold, gold), LABELS)["against_chance"] == "above"
    guess = [str(label) for label in np.random.default_rng(0).choice(LABELS, 120)]
    assert summarise(answers(gold, guess), LABELS)["against_chance"] == "at"


def test_change_is_paired() -> None:
    clean = answers(["a", "b", "c", "a"], ["a", "b", "c", "b"])
    noisy = answers(["a", "b", "c", "a"], ["a", "b", "invalid", "b"])
    found = change(noisy, clean)
    assert isinstance(found, Estimate) and found.value == -0.25 and found.reason and "too few" in found.reason
    gold = [str(label) for label in np.random.default_rng(0).choice(LABELS, 40)]
    same = change(answers(gold, gold), answers(gold, gold))
    assert same.low is not None and same.low < same.value == 0 and same.low == pytest.approx(-(same.high or 0))
    with pytest.raises(StudyError, match="no answer for 003"):
        change(noisy[:3], clean)


@pytest.mark.parametrize("blind", ["always the commonest", "the commonest in seven of ten"])
def test_a_system_that_hears_nothing_is_never_above_chance_for_preferring_the_commonest_label(blind: str) -> None:
    """Labels as uneven as those that MELD was published with."""
    rng = np.random.default_rng(0)
    labels = list("abcdefg")
    gold = rng.choice(labels, 2610, p=[0.481, 0.157, 0.132, 0.108, 0.08, 0.026, 0.016]).tolist()
    parsed = ["a" if blind.startswith("always") or rng.random() < 0.7 else str(rng.choice(labels)) for _ in gold]
    found = summarise(answers(gold, parsed), labels)
    assert found["accuracy"]["low"] > 1 / 7 and found["against_chance"] == "at"
    assert found["own_chance"] == pytest.approx(found["accuracy"]["value"], abs=0.03)


def test_chance_is_one_over_the_labels_where_they_are_balanced() -> None:
    rng = np.random.default_rng(1)
    gold = LABELS * 40
    found = summarise(answers(gold, [str(label) for label in rng.choice(LABELS, 120)]), LABELS)
    assert found["own_chance"] == pytest.approx(1 / 3) and found["against_chance"] == "at"


def test_a_pair_of_groups_is_too_few_for_any_interval_or_mark() -> None:
    found = summarise(answers(["a", "b"] * 2, ["a", "b"] * 2), LABELS)
    assert found["accuracy"]["low"] is None and "too few" in found["accuracy"]["reason"]
    assert found["against_chance"] == "unknown"
