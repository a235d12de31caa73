"""What is said of erasure follows the numbers and their controls, and turns with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_mechanism_study import SPEAKERS, TASKS, World, about, inside

from cascade_equivalence.config.mechanism import DRAWN
from cascade_equivalence.report.finding import APART, HEARING, NECESSARY, NOT_MEAN, SPARED, Claim
from cascade_equivalence.report.mechanism_names import control_names
from cascade_equivalence.report.outcomes import FAILS, HOLDS, OUTCOMES, UNTOLD
from cascade_equivalence.report.verdict_erasure import hearing as judge_hearing
from cascade_equivalence.report.verdict_fall import ALPHA, ENOUGH, MARGIN, Erasures

MODEL, TASK = SPEAKERS[0], TASKS[0]
FALLS = {("proxy", "linear", "audio"): 0.05}


@pytest.mark.parametrize(
    ("world", "claim", "outcome", "why"),
    [
        (World(survival=FALLS), NECESSARY, HOLDS, ""),
        (World(survival=FALLS | {("proxy", "linear", "text"): 0.05}), NECESSARY, HOLDS, "reading falls, too"),
        (World(survival={("proxy", "linear", "audio"): 1.0}), NECESSARY, FAILS, "no more than 5.0 points"),
        (
            World(survival=FALLS | {("proxy", "random", "audio"): 0.02}),
            NECESSARY,
            UNTOLD,
            "control does as much (random)",
        ),
        (
            World(survival=FALLS | {("proxy", "principal", "audio"): 0.02}),
            NECESSARY,
            UNTOLD,
            "control does as much (random of equal variance)",
        ),
        # What erasing as many directions as another concept does is no excuse.
        (World(survival=FALLS | {("ctc", "random", "audio"): 0.02}), NECESSARY, HOLDS, ""),
        (World(survival=FALLS, controls=()), NECESSARY, UNTOLD, "no control was run"),
        (World(survival=FALLS, draws=3), NECESSARY, UNTOLD, "3 draws of a control are too few"),
        (World(survival=FALLS, forced_follows=False, broken=1.0), NECESSARY, FAILS, "writing of the answer"),
        (World(survival={("proxy", "linear", "audio"): 1.0}, clips=20), NECESSARY, UNTOLD, "20 items are too few"),
        (World(survival=FALLS), HEARING, HOLDS, "reading falls by no more"),
        (World(survival=FALLS | {("proxy", "linear", "text"): 0.05}), HEARING, FAILS, "not shown to fall less"),
        (World(survival=FALLS | {("proxy", "linear", "text"): 0.75}), HEARING, FAILS, "though less"),
        (World(survival={("proxy", "linear", "audio"): 1.0}), HEARING, UNTOLD, "no fall in hearing"),
        (World(survival=FALLS), NOT_MEAN, HOLDS, ""),
        (World(survival=FALLS | {("proxy", "affine", "audio"): 1.0}), NOT_MEAN, FAILS, "with the mean kept"),
        (World(survival={("proxy", "linear", "audio"): 1.0}), NOT_MEAN, UNTOLD, "no fall to explain"),
    ],
)
def test_words_on_erasure_turn_with_the_numbers(
    tmp_path: Path, world: World, claim: Claim, outcome: str, why: str
) -> None:
    found = about(inside(tmp_path, world, erasure=True), claim)
    assert (found.outcome, found.place) == (outcome, "AG News"), found
    assert why in found.why and (why or not found.why), found.why


@pytest.mark.parametrize(
    ("world", "claim", "outcome", "why"),
    [
        (World(), SPARED, HOLDS, "no more than 5.0 points"),
        (World(survival={("acoustic", "linear", "audio"): 0.3}), SPARED, FAILS, "further than under the controls"),
        (World(survival={("acoustic", "linear", "audio"): 0.3}, draws=3), SPARED, FAILS, "accuracy falls"),
        (
            World(survival={("acoustic", "linear", "audio"): 0.3, ("acoustic", "random", "audio"): 0.2}),
            SPARED,
            UNTOLD,
            "control does as much",
        ),
        (World(clips=12), SPARED, UNTOLD, "too few"),
        (World(), APART, HOLDS, "margin of 0.03"),
        (World(text_loss=0.25), APART, FAILS, "share directions"),
    ],
)
def test_words_on_the_sound_turn_with_the_numbers(
    tmp_path: Path, world: World, claim: Claim, outcome: str, why: str
) -> None:
    found = about(inside(tmp_path, world, erasure=True, concepts=("acoustic",)), claim)
    assert found.outcome == outcome and why in found.why, found


@pytest.mark.parametrize(
    ("spoilt", "why"), [({"rank": 0}, "take nothing away"), ({"probe_after": 0.4}, "still reads it after erasing")]
)
def test_a_fall_that_stays_away_says_nothing_of_what_was_not_erased(
    tmp_path: Path, spoilt: dict[str, float], why: str
) -> None:
    world = World(survival={("proxy", "linear", "audio"): 1.0})
    tables = inside(tmp_path, world, erasure=True)
    assert about(tables, NECESSARY).outcome == FAILS
    erasers = tables.erasers.with_columns(**{name: pl.lit(value) for name, value in spoilt.items()})
    found = about(tables.changed(erasers=erasers), NECESSARY)
    assert found.outcome == UNTOLD and why in found.why


@pytest.mark.parametrize(
    ("hearing", "reading", "difference", "outcome"),
    [
        # Two falls that are alike, neither beyond the margin: nothing says that hearing breaks and language does not.
        ((-0.045, -0.030, -0.015), (-0.047, -0.032, -0.017), (-0.019, 0.002, 0.023), UNTOLD),
        ((-0.045, -0.030, -0.015), (-0.030, -0.010, 0.010), (-0.038, -0.020, -0.002), HOLDS),
        ((-0.4, -0.3, -0.2), (-0.04, -0.02, 0.0), (-0.5, -0.28, 0.1), HOLDS),
        ((-0.4, -0.3, -0.2), (-0.4, -0.3, -0.2), (-0.1, 0.0, 0.1), FAILS),
        ((-0.4, -0.3, -0.2), (-0.2, -0.05, 0.1), (-0.4, -0.25, -0.1), UNTOLD),
        ((-0.1, 0.0, 0.1), (-0.04, 0.0, 0.04), (-0.1, 0.0, 0.1), UNTOLD),
    ],
)
def test_hearing_breaks_where_it_falls_and_falls_further_than_reading(
    hearing: tuple[float, ...], reading: tuple[float, ...], difference: tuple[float, ...], outcome: str
) -> None:
    def ends(name: str, values: tuple[float, ...]) -> dict[str, float]:
        return dict(zip((f"{name}_low", name, f"{name}_high"), values, strict=True))

    base = {"accuracy_low": 0.5, "chance": 0.25, "against_chance": "above"}
    rows: Mapping[Any, Any] = {
        (TASK, "audio", "none", "none"): base,
        (TASK, "text", "none", "none"): base,
        (TASK, "audio", "proxy", "linear"): ends("accuracy_change", hearing) | {"groups": 400},
        (TASK, "text", "proxy", "linear"): ends("accuracy_change", reading) | {"groups": 400},
    }
    apart: Mapping[Any, Any] = {(TASK, "audio", "proxy", "linear", "text", "accuracy"): ends("difference", difference)}
    (found,) = judge_hearing(Erasures(MODEL, rows, apart, [TASK], "linear", {}))
    assert found.outcome == outcome and found.p is not None
    assert found.p < 0.05 or outcome == UNTOLD


ENDS = st.tuples(*[st.integers(-40, 40).map(lambda value: value / 40)] * 3).map(sorted)
CONTROL = st.fixed_dictionaries(
    {
        "control": st.sampled_from(sorted(control_names())),
        "draws": st.sampled_from([1, 3, 18, 19, 20]),
        "at_or_below": st.sampled_from([0, 1]),
        "difference_high": st.one_of(st.none(), st.integers(-4, 4).map(lambda value: value / 10)),
    }
)


@given(
    ends=ENDS,
    controls=st.lists(CONTROL, max_size=3, unique_by=lambda row: row["control"]),
    level=st.sampled_from(["above", "at", "below", "unknown"]),
    groups=st.sampled_from([10, 59, 60, 200]),
    left=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_a_fall_is_said_to_hold_only_where_interval_and_all_controls_say_so(
    ends: list[float], controls: list[dict[str, Any]], level: str | None, groups: int, left: bool
) -> None:
    low, value, high = ends
    row = {"accuracy_change": value, "accuracy_change_low": low, "accuracy_change_high": high, "groups": groups}
    base = {"accuracy_low": 0.5, "chance": 0.25, "against_chance": level}
    keyed: Mapping[Any, Any] = {
        (TASK, "audio", "proxy", "linear", each["control"], "accuracy"): each
        | {"p": (each["at_or_below"] + 1) / (each["draws"] + 1)}
        | {"difference": -0.4, "difference_low": None if each["difference_high"] is None else -0.5}
        for each in controls
    }
    rows = {(TASK, "audio", "proxy", "linear"): row, (TASK, "audio", "none", "none"): base}
    outcome, why, _, _ = Erasures(MODEL, rows, keyed, [TASK], "linear", {"proxy": "left" if left else ""}).fall(
        TASK, "proxy", "linear"
    )
    beaten = [
        each["difference_high"] is not None
        and each["difference_high"] < 0
        and (each["at_or_below"] + 1) / (each["draws"] + 1) <= (ALPHA if each["draws"] >= ENOUGH else 1)
        and (each["draws"] >= ENOUGH or each["at_or_below"] == 0)
        for each in keyed.values()
    ]
    enough = any(each["draws"] >= ENOUGH for each in controls if each["control"] in DRAWN)
    shown = level == "above" and low <= -MARGIN and high < 0
    assert (outcome == HOLDS) == (shown and enough and all(beaten))
    assert (outcome == FAILS) == (level == "above" and low > -MARGIN and not left)
    assert outcome in OUTCOMES and bool(why) == (outcome != HOLDS)
    assert ("not above chance" in why) == (level in ("at", "below"))
    assert ("too few items to tell" in why) == (level == "unknown")
