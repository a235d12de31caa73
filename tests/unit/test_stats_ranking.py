"""The order of two systems as noise grows: against plain loops, closed forms, and the awkward cases."""

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.conditions import RT60
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.accuracy import change
from cascade_equivalence.stats.bootstrap import ALL_ALIKE, draw_weights
from cascade_equivalence.stats.compare import compare
from cascade_equivalence.stats.ranking import APPARENT, KEPT, NOT_REVERSED, SHOWN, TIED, crossover, ranking, reversal
from cascade_equivalence.stats.statistic import Estimate

LABELS = ["a", "b"]
LEVELS = [None, 15.0, 5.0, 0.0]
VOICES = 2


def answers(right: np.ndarray, groups: np.ndarray | None = None) -> pl.DataFrame:
    """An answers table from what is right, (items, voices); every item is a group of its own unless they are given."""
    groups = np.arange(len(right)) if groups is None else groups
    return pl.DataFrame(
        [
            {
                "id": f"{item:03}",
                "voice": f"v{voice}",
                "group": f"{groups[item]:03}",
                "label": "ab"[item % 2],
                "parsed": "ab"[(item + (not correct)) % 2],
                "correct": bool(correct),
            }
            for item, row in enumerate(right)
            for voice, correct in enumerate(row)
        ]
    )


def heard(seed: int, shares: list[float], items: int = 30, groups: np.ndarray | None = None) -> dict:
    """Answers in each condition, right with a given share each; voices of an item mostly agree."""
    rng = np.random.default_rng(seed)
    ease = rng.random((items, 1))
    found = {}
    for level, share in zip(LEVELS, shares, strict=True):
        luck = np.where(rng.random((items, VOICES)) < 0.7, ease, rng.random((items, VOICES)))
        found[level] = answers(luck < share, groups)
    return found


def turned(seed: int = 0, items: int = 30, groups: np.ndarray | None = None) -> tuple[dict, dict]:
    """A system that leads on clean speech and falls behind in noise, and its reference."""
    return (
        heard(seed, [0.9, 0.8, 0.5, 0.1], items, groups),
        heard(seed + 1000, [0.6, 0.6, 0.6, 0.6], items, groups),
    )


def swap(found: dict[str, Any]) -> dict[str, Any]:
    """An estimate of the opposite sign."""
    return found | {"value": -found["value"], "low": -found["high"], "high": -found["low"]}


def turn(gaps: list[float]) -> float:
    """Where the order of a curve turns, by a scan from clean speech on; NaN where it does not."""
    for before, after in zip(range(len(gaps)), range(1, len(gaps)), strict=False):
        if gaps[0] * gaps[after] < 0:
            high, low = LEVELS[before], LEVELS[after]
            if high is None:
                return math.inf
            return float(np.interp(0, *zip(*sorted([(gaps[after], low), (gaps[before], high)]), strict=True)))
    return math.nan


@pytest.mark.parametrize("seed", range(4))
def test_crossings_are_those_of_a_plain_loop_over_the_draws(seed: int) -> None:
    groups = np.arange(30) // 2
    system, reference = turned(seed, groups=groups)
    found = ranking(system, reference, LABELS, draws=300, seed=seed)
    by_group = [
        [
            [
                int(one) - int(other)
                for one, other in zip(
                    system[level].filter(group=f"{group:03}")["correct"],
                    reference[level].filter(group=f"{group:03}")["correct"],
                    strict=True,
                )
            ]
            for level in LEVELS
        ]
        for group in range(15)
    ]
    loop: list[list[float]] = []
    for weights in np.concatenate(list(draw_weights(15, 300, seed))).astype(int):
        rows = [
            [gain for group, taken in enumerate(weights) for gain in by_group[group][at] * taken] for at in range(4)
        ]
        loop.append([sum(each) / len(each) for each in rows])
    drawn = np.array(loop)
    for at, each in enumerate(found["conditions"]):
        assert each["level"] == LEVELS[at]
        # Intervals are found otherwise, so only roughly: as far from the value as draws spread.
        for part, values in (("difference", drawn[:, at]), *([("change", drawn[:, at] - drawn[:, 0])] if at else [])):
            assert each[part]["low"] <= each[part]["value"] <= each[part]["high"]
            assert each[part]["high"] - each[part]["low"] == pytest.approx(5 * values.std(), rel=0.6)
    places = np.array([turn(gaps) for gaps in loop])
    crossing = found["crossover"]
    assert crossing["share"] == pytest.approx(np.mean(~np.isnan(places)))
    there = np.sort(places[~np.isnan(places)])
    for end, share in (("low", 0.025), ("high", 0.975)):
        expected = there[math.ceil(share * len(there)) - 1]
        assert crossing[f"{end}_censored"] == np.isinf(expected)
        assert crossing[end] == pytest.approx(min(expected, 15.0))


@given(seed=st.integers(0, 500), shares=st.lists(st.floats(0, 1), min_size=8, max_size=8))
@settings(max_examples=12, deadline=None)
def test_its_parts_fit_together_and_swapping_the_systems_turns_the_signs(seed: int, shares: list[float]) -> None:
    one, other = heard(seed, shares[:4], items=12), heard(seed + 1, shares[4:], items=12)
    found, swapped = (ranking(*pair, LABELS, draws=40) for pair in ((one, other), (other, one)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["rows"], found["groups"]) == (24, 12)
    assert found["crossover"] == swapped["crossover"]
    clean = found["conditions"][0]
    for mine, theirs in zip(found["conditions"], swapped["conditions"], strict=True):
        level = mine["level"]
        node = compare(one[level], other[level], LABELS, draws=5)
        assert mine["difference"] == node["accuracy_difference"]
        assert mine["difference"] == pytest.approx(swap(theirs["difference"]), abs=1e-6)
        assert mine["reversed"] == theirs["reversed"]
        if level is None:
            assert mine["change"] is mine["reversed"] is None
            continue
        changes = [change(each[level], each[None]).value for each in (one, other)]
        assert mine["change"]["value"] == pytest.approx(changes[0] - changes[1])
        signs = clean["difference"]["value"] * mine["difference"]["value"]
        assert (mine["reversed"] == NOT_REVERSED) == (signs >= 0)
    crossing = found["crossover"]
    # The order turns somewhere exactly if it is turned somewhere.
    assert (crossing["value"] is None) == all(each["reversed"] in (None, NOT_REVERSED) for each in found["conditions"])
    assert (crossing["value"] is None) <= (crossing["reason"] in (KEPT, TIED))
    if crossing["value"] is not None:
        assert 0 <= crossing["value"] <= 15 and (crossing["value"] == 15 or not crossing["value_censored"])
        if crossing["low"] is not None:
            assert crossing["low"] <= crossing["high"]


@pytest.mark.parametrize(
    ("clean", "noisy", "expected"),
    [
        ((0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), SHOWN),
        ((-0.2, -0.3, -0.1), (0.2, 0.1, 0.3), SHOWN),
        ((0.2, -0.1, 0.3), (-0.2, -0.3, -0.1), APPARENT),
        ((0.2, 0.1, 0.3), (-0.2, -0.3, 0.0), APPARENT),
        ((0.2, 0.1, 0.3), (0.1, 0.05, 0.2), NOT_REVERSED),
        ((0.0, -0.1, 0.1), (-0.2, -0.3, -0.1), NOT_REVERSED),
        ((0.2, 0.1, 0.3), (0.0, -0.1, 0.1), NOT_REVERSED),
        ((0.2, None, None), (-0.2, None, None), APPARENT),
    ],
)
def test_a_reversal_is_shown_if_both_intervals_exclude_zero(clean: tuple, noisy: tuple, expected: str) -> None:
    assert reversal(*(Estimate(*ends, reason=None) for ends in (clean, noisy))) == expected


@given(
    slope=st.integers(1, 9),
    zero=st.floats(-4.9, 14.9),
    sign=st.sampled_from([-1, 1]),
    levels=st.lists(st.sampled_from([-5.0, 0.0, 2.5, 5.0, 10.0, 15.0]), min_size=2, unique=True),
)
def test_two_straight_lines_cross_where_algebra_says(slope: int, zero: float, sign: int, levels: list[float]) -> None:
    levels = sorted({*levels, -5.0, 15.0}, reverse=True)
    line = sign * slope * (np.array(levels) - zero)
    found = crossover(np.array([[sign * 50.0, *line]]), levels, draws=3, confidence=0.9, seed=0)
    assert found["value"] == pytest.approx(zero, abs=1e-9) and not found["value_censored"]
    assert found["low"] is None and "one group" in found["reason"] and found["share"] is None


@pytest.mark.parametrize(
    ("gaps", "value", "censored"),
    [
        ([4, 2, -2], 5.0, False),  # half way between 10 and 0
        ([4, 0, -2], 10.0, False),  # at a ratio that was run
        ([4, -1, -2], 10.0, True),  # somewhere above the highest
        ([-4, 1, -1], 10.0, True),  # the first crossing counts
        ([4, 2, 1], None, None),
        ([4, 2, 0], None, None),  # a tie is no turn
        ([0, 2, -2], None, None),  # no order on clean speech
    ],
)
def test_where_a_crossover_lies(gaps: list[float], value: float | None, censored: bool | None) -> None:
    found = crossover(np.array([gaps] * 12, dtype=float), [10.0, 0.0], draws=20, confidence=0.95, seed=0)
    assert (found["value"], found["value_censored"]) == (value, censored)
    # All groups are alike, so every draw is like the data, and there is no interval.
    assert found["low"] is found["high"] is None
    assert found["share"] == (value is not None)
    assert found["reason"] == (ALL_ALIKE if value is not None else TIED if not gaps[0] else KEPT)


def test_draws_without_a_crossing_are_counted_and_left_out() -> None:
    gains = np.array([[3.0, 2, 1]] * 12 + [[-1.0, -4, -7]] * 5)
    found = crossover(gains, [10.0, 0.0], draws=2000, confidence=0.95, seed=1)
    drawn = np.concatenate(list(draw_weights(17, 2000, 1))) @ gains
    assert found["share"] == np.mean((drawn[:, 0] > 0) & (drawn[:, 2] < 0)) and 0.5 < found["share"] < 1
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 10


def test_the_order_of_rows_and_conditions_does_not_matter() -> None:
    system, reference = turned(3)
    found = ranking(system, reference, LABELS, draws=100)
    shuffled = {level: system[level].sample(fraction=1, shuffle=True, seed=1) for level in (0.0, None, 5.0, 15.0)}
    assert ranking(shuffled, reference, LABELS, draws=100) == found
    assert ranking(system, reference, [], draws=100)["conditions"] == found["conditions"]
    assert ranking(system, reference, LABELS, draws=100, seed=1)["crossover"] != found["crossover"]


def test_a_turned_order_is_shown_with_enough_texts() -> None:
    found = ranking(*turned(5, items=300), LABELS, draws=500)
    assert found["conditions"][-1]["reversed"] == SHOWN
    assert found["crossover"]["share"] > 0.99 and 0 < found["crossover"]["low"] < found["crossover"]["high"] < 15


def test_one_group_has_no_intervals() -> None:
    found = ranking(*turned(1, groups=np.zeros(30, dtype=int)), LABELS, draws=10)
    assert found["groups"] == 1 and found["conditions"][-1]["reversed"] == APPARENT
    assert found["crossover"]["value"] is not None and found["crossover"]["low"] is None


def test_what_cannot_be_compared_is_refused() -> None:
    system, reference = turned()
    noisy = {level: table for level, table in system.items() if level is not None}
    for broken, message in (
        ((noisy, {level: reference[level] for level in noisy}), "no answers to clean speech"),
        (({None: system[None]}, {None: reference[None]}), "no answers in noise"),
        ((system, {level: reference[level] for level in (None, 5.0)}), "not heard in the same noise"),
        ((system | {5.0: system[5.0][1:]}, reference), "the system has no answer for 000 in voice v0"),
        ((_without_voice(system), _without_voice(reference)), "5 dB lacks 000 in voice v1"),
        ((_without_voice(system, None), _without_voice(reference, None)), "clean speech lacks 000 in voice v1"),
        (
            (system | {0.0: pl.concat([system[0.0]] * 2)}, reference),
            r"system's answers \(0 dB\) have more than one row",
        ),
    ):
        with pytest.raises(StudyError, match=message):
            ranking(*broken, LABELS, draws=10)


def _without_voice(found: dict, level: float | None = 5.0) -> dict:
    return found | {level: found[level].filter(pl.col("voice") != "v1")}


# -- levels that grow as hearing gets harder ---------------------------------------------------------------------------


@given(
    gains=st.lists(st.lists(st.integers(-4, 4), min_size=4, max_size=4), min_size=1, max_size=14),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_reverberation_time_is_a_ratio_seen_from_the_other_side(gains: list[list[int]], seed: int) -> None:
    table = np.array(gains, dtype=float)
    settled = {"draws": 50, "confidence": 0.9, "seed": seed}
    times = crossover(table, [200.0, 400.0, 900.0], scale=RT60, **settled)
    ratios = crossover(table, [-200.0, -400.0, -900.0], **settled)
    assert (times["share"], times["reason"]) == (ratios["share"], ratios["reason"])
    for mine, theirs in (("value", "value"), ("low", "high"), ("high", "low")):
        expected = None if ratios[theirs] is None else -ratios[theirs]
        assert times[mine] == expected
        assert times[f"{mine}_censored"] == ratios[f"{theirs}_censored"]
    if times["low"] is not None:
        assert 200 <= times["low"] <= times["high"] <= 900


def test_in_rooms_the_longest_reverberation_is_the_hardest() -> None:
    to_times = {None: None, 15.0: 200.0, 5.0: 500.0, 0.0: 1000.0}
    system, reference = ({to_times[level]: table for level, table in each.items()} for each in turned(5, items=100))
    found = ranking(system, reference, LABELS, scale=RT60, draws=200)
    assert [each["level"] for each in found["conditions"]] == [None, 200.0, 500.0, 1000.0]
    assert found["conditions"][-1]["reversed"] == SHOWN
    assert 200 < found["crossover"]["value"] < 1000
    with pytest.raises(StudyError, match="500 ms lacks"):
        ranking(_without_voice(system, 500.0), _without_voice(reference, 500.0), LABELS, scale=RT60, draws=10)
