"""Wider groups change intervals and nothing else; too few of them give none."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from study_config import ROOT, changed

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.statistics import PairSpec, StatisticsConfig
from cascade_equivalence.config.study import CascadeSpec
from cascade_equivalence.report import groupings_table
from cascade_equivalence.report.naming import NodeFile, Outline
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.items import read_items, write_items
from cascade_equivalence.tasks.mustard import Mustard

LABELS = ("sarcastic", "sincere")
SHOWS, EACH = 40, 6
OUTLINE = Outline(
    systems={name: CascadeSpec(kind="cascade", asr="w", llm=name) for name in ("a", "b")},
    pairs=[PairSpec(system="a", reference="b", label="pair")],
    tasks=["mustard"],
)


def found(shows: int, *, together: bool) -> pl.DataFrame:
    """The table of two systems; items of a show are answered alike if ``together``."""
    draw = np.random.default_rng(3)
    count = shows * EACH
    show = np.arange(count) // EACH
    tables = {}
    for name in ("a", "b"):
        right = draw.random(shows)[show] < 0.7 if together else draw.random(count) < 0.7
        gold = np.array(LABELS)[show % 2]
        parsed = np.where(right, gold, np.array(LABELS)[1 - show % 2])
        ids = [f"{item:03}" for item in range(count)]
        columns = {"id": ids, "voice": "v", "group": ids, "label": gold, "raw": parsed, "parsed": parsed}
        tables[NodeFile(name, "mustard", "clean")] = pl.DataFrame(columns | {"correct": right})
    wider = [
        [{"grouping": "alone", "group": name}, {"grouping": "show", "group": str(show[int(name)])}] for name in ids
    ]
    items = {"mustard": pl.DataFrame({"id": ids, "wider": wider})}
    pairs = pl.DataFrame({"system": ["a"], "reference": ["b"], "task": ["mustard"], "condition": ["clean"]})
    return groupings_table.frame(tables, pairs, items, {"mustard": LABELS}, OUTLINE, StatisticsConfig())


def widths(table: pl.DataFrame) -> dict[tuple[str, str | None, str], float]:
    return {
        (row["system"], row["reference"], row["grouping"]): row["value_high"] - row["value_low"]
        for row in table.iter_rows(named=True)
    }


@pytest.mark.parametrize("together", [True, False])
def test_a_value_is_the_same_by_all_groupings_and_only_items_that_depend_widen_it(together: bool) -> None:
    table = found(SHOWS, together=together)
    assert table["grouping"].unique(maintain_order=True).to_list() == [groupings_table.OWN, "alone", "show"]
    assert (
        table.group_by("statistic", "system", "reference").agg(pl.col("value").n_unique())["value"].to_list() == [1] * 3
    )
    wide = widths(table)
    for system, reference in (("a", None), ("b", None), ("a", "b")):
        own, alone, show = (wide[system, reference, name] for name in (groupings_table.OWN, "alone", "show"))
        assert own == alone
        # Items of a show that are answered alike count as one: the square root of six.
        assert (show > 1.8 * own) if together else (show < 1.4 * own)


def test_too_few_groups_have_no_interval_and_say_so() -> None:
    table = found(4, together=True)
    few = table.filter(grouping="show")
    assert few["groups"].to_list() == [4] * 3 and few["value"].null_count() == 0
    assert few["value_low"].null_count() == few["value_high"].null_count() == 3
    assert few["reason"].null_count() == 0
    shown = groupings_table.display(table, 0.95)
    assert len(shown.rows) == 3 and len(shown.columns) == 3 + 3


def test_tasks_without_wider_groups_have_no_rows() -> None:
    empty = groupings_table.frame(
        {}, pl.DataFrame(), {"mustard": pl.DataFrame({"id": ["a"]})}, {}, OUTLINE, StatisticsConfig()
    )
    assert not empty.height and dict(empty.schema) == groupings_table.SCHEMA
    assert not groupings_table.display(empty, 0.95).rows


def test_items_of_the_published_set_carry_their_show_and_speaker(tmp_path: Path) -> None:
    line = {"utterance": "Sure.", "show": "ONE", "speaker": "SOMEONE", "sarcasm": True}
    rows = {"1_1": line, "1_2": line | {"speaker": "ANOTHER", "sarcasm": False}}
    (tmp_path / "mustard").mkdir()
    (tmp_path / "mustard" / "sarcasm_data.json").write_text(json.dumps(rows))
    items = Mustard().load_published(tmp_path)
    assert [dict(item.wider)["show"] for item in items] == ["ONE", "ONE"]
    assert len({dict(item.wider)["show and speaker"] for item in items}) == 2
    assert all(tuple(dict(item.wider)) == Mustard.wider and item.group == item.id for item in items)
    write_items(items, tmp_path / "items.parquet", "mustard", LABELS)
    assert read_items(tmp_path / "items.parquet") == items


@pytest.mark.parametrize("source", ["published", "demo"])
def test_the_table_is_there_where_published_items_name_groups(source: str) -> None:
    study = Study(load_study(changed(items__source=source), ROOT))
    assert ("groupings" in stages.report.tables(study)) == (source == "published")
