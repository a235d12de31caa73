"""No table contradicts another: one number has one value, one interval and one mark, and every interval a width."""

import polars as pl
import pytest
from report_numbers import contradictions, zero_widths
from report_study import SPEECH_OUTLINE, build, write_study


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """All tables of the made-up study."""
    return dict(build(write_study(tmp_path_factory.mktemp("study"), SPEECH_OUTLINE)))


def test_one_number_has_one_value_one_interval_and_one_mark(tables: dict[str, pl.DataFrame]) -> None:
    wrong, several = contradictions(tables)
    assert several > 50 and wrong == []


def test_another_interval_would_be_found(tables: dict[str, pl.DataFrame]) -> None:
    moved = tables["contrasts"].with_columns(pl.col("kappa_first_low") + 0.01)
    assert contradictions(tables | {"contrasts": moved})[0]


def test_every_interval_has_a_width_and_holds_its_value(tables: dict[str, pl.DataFrame]) -> None:
    assert zero_widths(tables) == []
