"""Names of noise conditions."""

import pytest

from cascade_equivalence.conditions import (
    CLEAN,
    NOISE_KINDS,
    condition_name,
    families,
    parse_condition,
    sort_conditions,
)
from cascade_equivalence.errors import StudyError


@pytest.mark.parametrize(
    ("snr_db", "name"),
    [(10, "snr10"), (0, "snr0"), (-5.0, "snr-5"), (2.5, "snr2.5"), (-0.0, "snr0"), (1e-7, "snr0.0000001")],
)
def test_names_are_plain_decimals(snr_db: float, name: str) -> None:
    assert condition_name(snr_db) == name


def test_an_unknown_condition_is_answered_with_one_of_every_kind() -> None:
    with pytest.raises(StudyError) as error:
        parse_condition("hum10")
    examples = [kind.example[0] for kind in NOISE_KINDS.values()]
    assert len(examples) == 4 and all(repr(name) in str(error.value) for name in examples)
    assert [parse_condition(name).kind for name in examples] == list(NOISE_KINDS)


def test_clean_has_no_level() -> None:
    clean = parse_condition(CLEAN)
    assert (clean.kind, clean.level, clean.snr_db, clean.rt60_ms) == (None, None, None, None)


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
