"""Joining two answers tables, and what is refused before anything is computed."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.join import join_pair


def answers(rows: list[tuple[str, str, str]], voices: tuple[str, ...] = ("a", "b")) -> pl.DataFrame:
    """An answers table from (id, label, parsed), each row in every voice."""
    return pl.DataFrame(
        [
            {"id": i, "voice": v, "group": f"text {i}", "label": gold, "parsed": parsed, "correct": gold == parsed}
            for i, gold, parsed in rows
            for v in voices
        ]
    )


TABLE = answers([("1", "x", "x"), ("2", "y", "x"), ("3", "y", "invalid")])


@given(order=st.permutations(range(6)), other=st.permutations(range(6)))
@settings(deadline=None)
def test_join_does_not_depend_on_the_order_of_rows(order: list[int], other: list[int]) -> None:
    assert join_pair(TABLE[order], TABLE[other]).equals(join_pair(TABLE, TABLE))


def test_join_keeps_both_sides_apart() -> None:
    other = TABLE.with_columns(parsed=pl.lit("y"), correct=pl.col("label") == "y")
    joined = join_pair(TABLE, other)
    assert joined.height == TABLE.height
    assert joined["system_parsed"].to_list() == TABLE.sort("id", "voice")["parsed"].to_list()
    assert joined["reference_parsed"].unique().to_list() == ["y"]


@given(row=st.integers(0, 5), swap=st.booleans())
@settings(deadline=None)
def test_a_missing_row_is_named(row: int, swap: bool) -> None:
    item, voice = TABLE.row(row)[:2]
    short = TABLE.filter(~((pl.col("id") == item) & (pl.col("voice") == voice)))
    with pytest.raises(StudyError, match=f"{'system' if swap else 'reference'} has no answer for {item} in voice"):
        join_pair(*((short, TABLE) if swap else (TABLE, short)))


@given(row=st.integers(0, 5), swap=st.booleans())
@settings(deadline=None)
def test_a_duplicate_is_named(row: int, swap: bool) -> None:
    double = pl.concat([TABLE, TABLE[row]])
    with pytest.raises(StudyError, match=f"more than one row for {TABLE[row, 'id']} in voice {TABLE[row, 'voice']}"):
        join_pair(*((double, TABLE) if swap else (TABLE, double)))


@pytest.mark.parametrize("column", ["label", "group"])
def test_contradicting_rows_are_named(column: str) -> None:
    other = TABLE.with_columns(
        pl.when(pl.col("id") == "2").then(pl.lit("other")).otherwise(pl.col(column)).alias(column)
    )
    with pytest.raises(StudyError, match=f"another {column} for 2 in voice a, 2 in voice b"):
        join_pair(TABLE, other)


def test_long_lists_are_cut() -> None:
    with pytest.raises(StudyError, match="and 2 more"):
        join_pair(TABLE, TABLE[:1])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (TABLE.drop("group"), "lack the columns group"),
        (TABLE.clear(), "empty"),
        (TABLE.with_columns(parsed=pl.lit(None, dtype=pl.String)), "missing values"),
        (TABLE.with_columns(parsed=pl.lit("z"), correct=False), "outside x, y"),
        (TABLE.with_columns(label=pl.lit("z"), correct=False), "outside x, y"),
        (TABLE.with_columns(correct=~pl.col("correct")), "right or wrong against their own labels"),
        (pl.concat([TABLE, TABLE]), "more than one row"),
    ],
)
def test_bad_answers_are_refused(broken: pl.DataFrame, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        check_answers(broken, ["x", "y"])


def test_open_answers_may_be_right_under_another_name() -> None:
    table = TABLE.with_columns(label=pl.lit("USA"), parsed=pl.lit("united states"), correct=True)
    assert check_answers(table, []).height == TABLE.height
