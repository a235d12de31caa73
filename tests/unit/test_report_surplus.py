"""The table of the acoustic surplus: what was measured, in the paper's order, and what a reader is told of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from cascade_equivalence.report.display import UNDEFINED, Display, interval, markdown
from cascade_equivalence.report.surplus_table import SCHEMA, display, frame
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.nested import Sample
from cascade_equivalence.stats.surplus import surplus


def measured(told: float, labels: int = 2, groups: int = 24) -> dict[str, Any]:
    """A surplus file of items whose label shows in the audio to some degree."""
    rng = np.random.default_rng(0)
    items = np.arange(groups)
    gold = items % labels
    audio = told * (gold[:, None] - 0.5) + rng.standard_normal((groups, 2))
    sample = Sample(
        text=lambda train: np.zeros((groups, 1)),
        audio=audio,
        gold=gold,
        clusters=Clusters.of([f"{item:02}" for item in items]),
        items=items,
        voices=np.zeros(groups, dtype=np.intp),
    )
    # Products of small matrices are slow with more threads than cores.
    with threadpool_limits(1):
        found = surplus(sample, folds=3, permutations=3)
    return found | {"transcript": "oracle", "voices": ["us"], "texts": groups, "features": ["pitch", "level"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("surplus")
    made = {
        "mustard": measured(8.0),
        "sst2": measured(0.0) | {"transcript": "whisper"},
        "meld": measured(0.0, labels=1),
        "commonsense_qa": measured(0.0),
    }
    for task, found in made.items():
        (folder / f"{task}.json").write_text(json.dumps(found | {"of": {"task": task}}))
    return {task: folder / f"{task}.json" for task in made}


@pytest.fixture(scope="module")
def table(files: dict[str, Path]) -> pl.DataFrame:
    return frame(files.values())


def cells(table: Display) -> dict[str, dict[str, str]]:
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_it_holds_what_the_files_hold_in_the_order_of_the_paper(table: pl.DataFrame, files: dict[str, Path]) -> None:
    assert table.schema == pl.Schema(SCHEMA)
    assert table["task"].to_list() == ["sst2", "commonsense_qa", "meld", "mustard"]
    assert frame(reversed(files.values())).equals(table)
    for row in table.iter_rows(named=True):
        found = json.loads(files[row["task"]].read_text())
        for name in ("h_y", "text", "audio", "both", "surplus"):
            assert [row[name], row[f"{name}_low"], row[f"{name}_high"]] == [
                found[name][end] for end in ("value", "low", "high")
            ]
        assert (row["permutations"], row["permuted_low"]) == (
            len(found["permuted"]["values"]),
            min(found["permuted"]["values"], default=None),
        )


def test_a_reader_sees_the_surplus_beside_what_the_transcript_carries(table: pl.DataFrame) -> None:
    shown = display(table, 0.9)
    rows = cells(shown)
    assert rows["MUStARD"]["Surplus is"] == "shown" and rows["SST-2"]["Surplus is"] == "none shown"
    told = table.row(by_predicate=pl.col("task") == "mustard", named=True)
    ends = (told[f"surplus{end}"] for end in ("", "_low", "_high"))
    assert rows["MUStARD"]["Surplus, at least"] == interval(*ends, signed=True) and told["surplus"] > 0.5
    assert "Transcript [90%]" in shown.columns
    assert (rows["SST-2"]["Transcript"], rows["MUStARD"]["Transcript"]) == ("whisper", "the true text")
    meld = rows["MELD"]
    assert {
        meld[name] for name in ("Surplus is", "Label", "Surplus, at least", "From half the texts", "By chance")
    } == {UNDEFINED}
    assert any("MELD: all rows have the same label" in remark for remark in shown.remarks)
    assert any("letter of an option" in remark for remark in shown.remarks)
    assert "no proof" in markdown(shown)


def test_a_study_that_measures_none_has_an_empty_table() -> None:
    empty = frame({})
    assert empty.schema == pl.Schema(SCHEMA) and not display(empty, 0.95).rows
