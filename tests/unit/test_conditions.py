"""Names of noise conditions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.conditions import condition_name, parse_condition
from cascade_equivalence.errors import StudyError

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("snr_db", "name"),
    [(10, "snr10"), (0, "snr0"), (-5.0, "snr-5"), (2.5, "snr2.5"), (-0.0, "snr0"), (1e-7, "snr0.0000001")],
)
def test_names_are_plain_decimals(snr_db: float, name: str) -> None:
    assert condition_name(snr_db) == name


@given(FINITE)
def test_name_and_ratio_round_trip(snr_db: float) -> None:
    name = condition_name(snr_db)
    assert parse_condition(name) == snr_db
    assert set(name.removeprefix("snr")) <= set("-.0123456789")


@given(FINITE, FINITE)
def test_ratios_that_differ_have_names_that_differ(one: float, other: float) -> None:
    assert (condition_name(one) == condition_name(other)) == (one == other)


def test_clean_has_no_ratio() -> None:
    assert parse_condition("clean") is None


@pytest.mark.parametrize("name", ["", "snr", "snrx", "10", "Clean", "snrnan", "snrinf", "snr 10", "noise10"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(StudyError, match=r"no condition|Write the condition"):
        parse_condition(name)


@pytest.mark.parametrize(
    ("name", "right"), [("snr10.0", "snr10"), ("snr+5", "snr5"), ("snr1e1", "snr10"), ("snr-0", "snr0")]
)
def test_second_spellings_are_refused_with_the_first(name: str, right: str) -> None:
    with pytest.raises(StudyError, match=f"'{right}'"):
        parse_condition(name)


@pytest.mark.parametrize("snr_db", [math.nan, math.inf, -math.inf])
def test_only_finite_ratios_have_names(snr_db: float) -> None:
    with pytest.raises(StudyError, match="finite"):
        condition_name(snr_db)
