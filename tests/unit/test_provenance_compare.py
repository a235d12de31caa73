"""Two studies are equal if their numbers are, in any order of rows; every difference is named, the biggest first."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_study import make_study, write

from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.cells import flat, gap, hashed
from cascade_equivalence.provenance.compare import compare

ANSWERS = "answers/first/sst2/clean.parquet"
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return make_study(tmp_path / "a"), make_study(tmp_path / "b")


def where(a: Path, b: Path, tolerance: float = 0.0) -> list[tuple[str, str]]:
    return [(each.file, each.what) for each in compare(a, b, tolerance).tally.differences]


def test_two_runs_are_equal_whatever_the_clock_says(tmp_path: Path) -> None:
    a, b = make_study(tmp_path / "a", seconds=1.5), make_study(tmp_path / "b", seconds=99.0)
    comparison = compare(a, b)
    assert comparison.equal and comparison.setup == [] and comparison.text().endswith("\nequal")
    assert comparison.tally.seconds["answers"] == (pytest.approx(8 * 1.5), pytest.approx(8 * 99))
    assert comparison.tally.seconds["tables/times.csv"] == (3.0, 198.0)
    assert comparison.tally.rows == {"answers": 8, "transcripts": 8}
    assert comparison.tally.same["answers"]["raw"] == 8


def test_costs_of_before_times_had_a_table_are_measured_too(pair: tuple[Path, Path]) -> None:
    for number, folder in enumerate(pair):
        old = pl.DataFrame({"system": ["x"], "task": ["sst2"], "prompt_tokens": [7], "seconds": [1.0 + number]})
        write(folder / "tables/costs.csv", old)
    assert compare(*pair).equal


def test_the_order_of_rows_is_of_no_account(pair: tuple[Path, Path]) -> None:
    for path in sorted(pair[1].rglob("*.csv")):
        write(path, pl.read_csv(path, infer_schema=False).reverse())
    for path in sorted(pair[1].rglob("*.parquet")):
        write(path, pl.read_parquet(path).reverse())
    assert compare(*pair).equal


def test_pairs_of_patching_are_known_by_their_items(pair: tuple[Path, Path]) -> None:
    rows = [(arm, layer, one) for arm in ("audio", "text") for layer in (0, 1) for one in ("i", "j", "k")]
    table = pl.DataFrame(rows, schema=["arm", "layer", "source_id"], orient="row").with_columns(
        positions=pl.lit("last"), target_id=pl.lit("t"), patched=pl.int_range(pl.len()).cast(float)
    )
    for folder, part in zip(pair, (table, table.filter(pl.col("source_id") != "i").reverse()), strict=True):
        write(folder / "patching/mini/sst2.parquet", part)
    # What one of them lacks is named, and nothing else differs.
    found = compare(*pair).tally.differences
    assert len(found) == 4 and all(each.what == "the row" and " i t" in each.row for each in found)


def test_every_number_counts(pair: tuple[Path, Path]) -> None:
    a, b = pair
    table = pl.read_csv(b / "tables/accuracy.csv")
    for row in range(table.height):
        changed = table.with_columns(
            accuracy=pl.col("accuracy") + pl.when(pl.int_range(pl.len()) == row).then(1e-9).otherwise(0)
        )
        write(b / "tables/accuracy.csv", changed)
        assert where(a, b) == [("tables/accuracy.csv", "accuracy")]
        assert where(a, b, tolerance=1e-8) == []
    write(b / "tables/accuracy.csv", table)
    for folder, low in ((a, None), (b, 0.1)):
        write(folder / "surplus/sst2.json", {"gain": {"value": 0.5, "low": low}})
    assert where(a, b) == [("surplus/sst2.json", "gain.low")]


def test_what_only_one_has_is_a_difference(pair: tuple[Path, Path]) -> None:
    a, b = pair
    write(b / "tables/more.csv", "system\nx\n")
    table = pl.read_csv(b / "tables/accuracy.csv")
    write(b / "tables/accuracy.csv", table.head(1).with_columns(new=1))
    found = {(each.file, each.row, each.what): (each.a, each.b) for each in compare(a, b).tally.differences}
    assert found == {
        ("tables/more.csv", "", "the file"): (None, "there"),
        ("tables/accuracy.csv", "first trivia_qa", "the row"): ("there", None),
        ("tables/accuracy.csv", "first sst2", "new"): (None, "1"),
    }


def test_answers_are_compared_by_item_and_voice(pair: tuple[Path, Path]) -> None:
    a, b = pair
    table = pl.read_parquet(b / ANSWERS)
    first = pl.int_range(pl.len()) == 2
    write(b / ANSWERS, table.with_columns(parsed=pl.when(first).then(pl.lit("positive")).otherwise("parsed")))
    (difference,) = compare(a, b).tally.differences
    assert (difference.what, difference.a, difference.b) == ("parsed", "negative", "positive")
    assert difference.size == pytest.approx(1 / 6) and "1 of 6 rows, such as sst2-2 us" in difference.row
    assert "parsed the same in 87.5 %" in compare(a, b).text()
    write(b / ANSWERS, table.filter(pl.col("voice") == "us").with_columns(more=1))
    found = [(each.what, each.b) for each in compare(a, b).tally.differences]
    assert found.count(("the row", None)) == 3 and ("more", "a column") in found


def test_the_biggest_difference_comes_first(pair: tuple[Path, Path]) -> None:
    a, b = pair
    rows = {"system": ["p", "q", "r", "s"], "accuracy": [1.0, 1.0, 1.0, 1.0]}
    write(a / "tables/accuracy.csv", pl.DataFrame(rows))
    write(b / "tables/accuracy.csv", pl.DataFrame(rows | {"accuracy": [1.01, 2.0, None, 1.0]}))
    differences = compare(a, b).tally.differences
    assert [each.row for each in differences] == ["r", "q", "p"]
    assert [each.size for each in differences] == [math.inf, 0.5, pytest.approx(0.01 / 1.01)]


def test_another_config_and_other_models_are_said_first(tmp_path: Path) -> None:
    a = make_study(tmp_path / "a")
    b = make_study(tmp_path / "b", statistics={"draws": 77}, answer={"batch_size": 3})
    comparison = compare(a, b)
    assert comparison.equal
    assert "config: statistics.draws is 10000 in A, 77 in B" in comparison.setup
    assert comparison.text().index("Made differently") < comparison.text().index("Compared")
    record = b / "records/answer/first/sst2/clean.json"
    record.write_text(record.read_text().replace("f" * 64, "e" * 64))
    assert any(line.startswith("model: llama-a is ffff") for line in compare(a, b).setup)
    (b / "records/write_report.json").unlink()
    for file in (b / "records").rglob("*.json"):
        file.unlink()
    assert compare(a, b).setup == [f"not known: {b} has no records"]


def test_a_text_and_its_hash_are_the_same(pair: tuple[Path, Path]) -> None:
    a, b = pair
    table = pl.read_parquet(b / ANSWERS)
    write(b / ANSWERS, table.with_columns(raw=pl.col("raw").map_elements(hashed, return_dtype=pl.String)))
    assert compare(a, b).equal and compare(b, a).equal
    write(b / ANSWERS, table.with_columns(raw=pl.lit(hashed("something else"))))
    assert where(a, b) == [(ANSWERS, "raw")]


def test_what_is_no_results_folder_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = pair
    with pytest.raises(StudyError, match="is no folder"):
        compare(a, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="no tables and no answers"):
        compare(tmp_path / "empty", a)
    (b / ANSWERS).write_bytes(b"torn")
    with pytest.raises(StudyError, match=r"no readable Parquet.*verify"):
        compare(a, b)


def test_the_command_ends_in_equal_or_in_one(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], command: Callable[..., int]
) -> None:
    assert command("compare", *pair) == 0
    assert capsys.readouterr().out.rstrip().endswith("equal")
    write(pair[1] / "comparison.csv", "place,ours\nTable 2,1\n")
    assert command("compare", *pair, "--json") == 1
    content = json.loads(capsys.readouterr().out)
    assert content["equal"] is False and content["differences"][0]["size"] is None
    with pytest.raises(SystemExit):
        command("compare", *pair, "--tolerance", "2")


@given(a=NUMBER, b=NUMBER, tolerance=st.floats(0, 0.5))
def test_the_gap_of_numbers(a: float, b: float, tolerance: float) -> None:
    size = gap(a, b, tolerance)
    assert size == gap(b, a, tolerance) == gap(str(a), b, tolerance) and size >= 0
    assert gap(a, a, 0) == gap(str(a), a, 0) == 0
    close = abs(a - b) <= max(tolerance, tolerance * max(abs(a), abs(b)))
    assert (size == 0) == (a == b or close)
    assert size <= 2 or math.isinf(size)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (None, None, True),
        (None, 0.0, False),
        (None, "", False),
        ("a", "a", True),
        ("a", "b", False),
        ("nan", float("nan"), True),
        (float("inf"), float("inf"), True),
        (float("inf"), 1.0, False),
        (True, False, False),
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        ("1", "1.0", True),
    ],
)
def test_the_gap_of_other_values(a: Any, b: Any, same: bool) -> None:
    assert (gap(a, b, 0) == 0) == same
    assert same or gap(a, b, 0.4) == math.inf


def test_leaves_of_json() -> None:
    value = {"a": [1, {"b": None}], "c": {}, "d": []}
    assert dict(flat(value)) == {"a.0": 1, "a.1.b": None, "c": {}, "d": []}
    assert dict(flat(3)) == {"": 3}


def test_rows_of_the_long_table_are_told_apart_by_all_that_they_are_of(pair: tuple[Path, Path]) -> None:
    names = ("system", "asr", "grouping", "of", "task", "statistic")
    rows = [
        *({"asr": asr, "statistic": "transcription.clips"} for asr in ("a", "b")),
        *(
            {"system": "x", "grouping": each, "of": "kappa", "statistic": "groupings.value"}
            for each in ("show", "item")
        ),
        *({"system": "x", "grouping": "show", "of": of, "statistic": "groupings.value"} for of in ("accuracy", "mean")),
    ]
    table = pl.DataFrame(
        [dict.fromkeys(names) | row | {"value": n} for n, row in enumerate(rows)],
        schema_overrides=dict.fromkeys(names, pl.String),
    )
    write(pair[0] / "tables/numbers.csv", table)
    for number in range(table.height):
        write(pair[1] / "tables/numbers.csv", table.filter(pl.col("value") != number))
        assert where(*pair) == [("tables/numbers.csv", "the row")]
