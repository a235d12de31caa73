"""Names of noise conditions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.conditions import (
    CLEAN,
    NOISE_KINDS,
    RATIO,
    RT60,
    Condition,
    condition_name,
    families,
    parse_condition,
    sort_conditions,
)
from cascade_equivalence.errors import StudyError

FINITE = st.floats(allow_nan=False, allow_infinity=False)
IN_NOISE = st.tuples(st.sampled_from([kind for kind in NOISE_KINDS if kind != "reverb"]), FINITE)
IN_ROOMS = st.tuples(st.just("reverb"), st.integers(1, 10_000).map(float))
ANY = IN_NOISE | IN_ROOMS


@pytest.mark.parametrize(
    ("snr_db", "name"),
    [(10, "snr10"), (0, "snr0"), (-5.0, "snr-5"), (2.5, "snr2.5"), (-0.0, "snr0"), (1e-7, "snr0.0000001")],
)
def test_names_are_plain_decimals(snr_db: float, name: str) -> None:
    assert condition_name(snr_db) == name


@pytest.mark.parametrize(
    ("kind", "level", "name"),
    [
        ("music", 10, "music10"),
        ("music", -2.5, "music-2.5"),
        ("stationary", 0, "stationary0"),
        ("reverb", 600, "reverb600"),
    ],
)
def test_other_kinds_than_babble_have_their_own_word(kind: str, level: float, name: str) -> None:
    assert condition_name(level, kind) == name
    assert parse_condition(name) == Condition(kind, level)


@given(ANY)
def test_name_and_condition_round_trip(asked: tuple[str, float]) -> None:
    kind, level = asked
    name = condition_name(level, kind)
    assert parse_condition(name) == Condition(kind, level)
    # One plain word: a file name, a wildcard and a regular expression's literal
    prefix = NOISE_KINDS[kind].prefix
    assert name.startswith(prefix) and set(name.removeprefix(prefix)) <= set("-.0123456789")


@given(ANY, ANY)
def test_conditions_that_differ_have_names_that_differ(one: tuple[str, float], other: tuple[str, float]) -> None:
    assert (condition_name(*one[::-1]) == condition_name(*other[::-1])) == (one == other)


def test_an_unknown_condition_is_answered_with_one_of_every_kind() -> None:
    with pytest.raises(StudyError) as error:
        parse_condition("hum10")
    examples = [kind.example[0] for kind in NOISE_KINDS.values()]
    assert len(examples) == 4 and all(repr(name) in str(error.value) for name in examples)
    assert [parse_condition(name).kind for name in examples] == list(NOISE_KINDS)


def test_clean_has_no_level() -> None:
    clean = parse_condition(CLEAN)
    assert (clean.kind, clean.level, clean.snr_db, clean.rt60_ms) == (None, None, None, None)


def test_a_level_is_a_ratio_or_a_reverberation_time() -> None:
    for name in ("snr5", "music5", "stationary5"):
        known = parse_condition(name)
        assert (known.snr_db, known.rt60_ms, known.scale) == (5.0, None, RATIO)
    room = parse_condition("reverb500")
    assert (room.snr_db, room.rt60_ms, room.scale) == (None, 500.0, RT60)


@pytest.mark.parametrize(
    "name",
    [
        *("", "snr", "snrx", "10", "Clean", "snrnan", "snrinf", "snr 10", "noise10", "babble10", "music", "musicnan"),
        *("stationary", "reverb", "reverb0", "reverb-600", "reverb2.5", "reverbinf", "clean10", "snrmusic10"),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(StudyError, match=r"no condition|Write the condition"):
        parse_condition(name)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        *(("snr10.0", "snr10"), ("snr+5", "snr5"), ("snr1e1", "snr10"), ("snr-0", "snr0"), ("music05", "music5")),
        *(("reverb600.0", "reverb600"), ("stationary1_0", "stationary10")),
    ],
)
def test_second_spellings_are_refused_with_the_first(name: str, right: str) -> None:
    with pytest.raises(StudyError, match=f"'{right}'"):
        parse_condition(name)


@pytest.mark.parametrize("snr_db", [math.nan, math.inf, -math.inf])
def test_only_finite_ratios_have_names(snr_db: float) -> None:
    with pytest.raises(StudyError, match="finite"):
        condition_name(snr_db)


@pytest.mark.parametrize("rt60_ms", [0, -600, 2.5, math.inf, math.nan])
def test_only_whole_milliseconds_have_names(rt60_ms: float) -> None:
    with pytest.raises(StudyError, match="whole number of ms"):
        condition_name(rt60_ms, "reverb")


def test_conditions_are_sorted_by_kind_and_then_from_mild_to_hard() -> None:
    order = ["clean", "snr10", "snr0", "snr-5", "music15", "music5", "stationary0", "reverb300", "reverb1000"]
    assert sort_conditions([*order[::-1], *order]) == order
    assert families(order[::-1]) == {
        "babble": ["snr10", "snr0", "snr-5"],
        "music": ["music15", "music5"],
        "stationary": ["stationary0"],
        "reverb": ["reverb300", "reverb1000"],
    }
    assert families([CLEAN]) == {}
