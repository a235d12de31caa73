"""A pair statistic and its table, added in one place each, are computed, written, shown and declared."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import report_study
from study_config import BASE, ROOT, changed

from cascade_equivalence import plugins, stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import count
from cascade_equivalence.report.display import Display
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.table import TABLES, Table
from cascade_equivalence.report.tables import Tables, displays, write_markdown
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.compare import compare
from cascade_equivalence.stats.pair_statistic import PAIR_STATISTICS, Pair, PairStatistic, Settings

TITLE = "Answers in common & no more"


def shared(pair: Pair, settings: Settings) -> dict[str, Any]:
    """How many answers are the same."""
    return {"count": int((pair.paired.system == pair.paired.reference).sum()), "level": settings.confidence}


def display(tables: Tables, confidence: float) -> Display:
    """One row a pair, task and condition."""
    rows = [[row["pair"], row["task"], str(row["shared"])] for row in tables.shared_answers.iter_rows(named=True)]
    return Display("another", TITLE, ["Pair", "Task", f"In common, {confidence:.0%}"], rows, [], text_columns=2)


STATISTIC = PairStatistic("shared_answers", shared)
TABLE = Table(
    name="shared_answers",
    section="agreement",
    columns={"shared": count("shared_answers.count")},
    display=display,
    planned=lambda study: bool(study.config.pairs),
)


@pytest.fixture
def added() -> Iterator[str]:
    """The statistic and the table, among those of the package."""
    PAIR_STATISTICS.add(STATISTIC)
    TABLES.add(TABLE)
    yield TABLE.name
    for registry in (PAIR_STATISTICS, TABLES):
        registry.drop([TABLE.name])


def test_they_are_shown_wherever_tables_are(added: str, tmp_path: Path) -> None:
    study = Study(load_study(BASE, ROOT))
    declared = {path for path in stages.report.targets(study) if added in path}
    assert declared == {f"{study.results}/tables/{added}.{kind}" for kind in ("csv", "md")}

    made = report_study.write_study(tmp_path, report_study.OUTLINE)
    tables = report_study.build(made)
    table = tables[added]
    assert table.columns == list(TABLE.schema) and table.height == tables.agreement.height
    both = table.join(tables.agreement, on=["system", "reference", "task", "condition"])
    assert both["shared"].to_list() == [
        round(share * rows) for share, rows in both.select("observed_agreement", "rows").iter_rows()
    ]

    folder = tmp_path / "tables"
    tables.write(folder)
    write_markdown(tables, folder, 0.95)
    assert Tables.read(folder)[added].equals(table)
    assert TITLE in (folder / f"{added}.md").read_text()
    assert added in [display.name for display in displays(tables, 0.95)]
    page = write_report(
        tmp_path / "report.html",
        title="t",
        tables=tables,
        figures=[],
        outline=report_study.OUTLINE,
        statistics=report_study.STATISTICS,
    ).read_text()
    assert TITLE.replace("&", "&amp;") in page[page.index('id="on-agreement"') : page.index('id="on-accuracy"')]


def test_a_study_without_pairs_has_none(added: str, tmp_path: Path) -> None:
    study = Study(load_study(changed(systems=["base-gemma"], pairs=[]), ROOT))
    assert added not in stages.report.tables(study) and "agreement" in stages.report.tables(study)
    Tables().write(tmp_path)
    write_markdown(Tables(), tmp_path, 0.95)
    assert not list(tmp_path.glob(f"{added}.*")) and Tables.read(tmp_path)[added].is_empty()


PLUGIN = """
from cascade_equivalence.report.display import Display
from cascade_equivalence.report.table import TABLES, Table
from cascade_equivalence.stats.pair_statistic import PAIR_STATISTICS, PairStatistic

PAIR_STATISTICS.add(PairStatistic("ones", lambda pair, settings: {"one": 1}))
TABLES.add(
    Table(
        name="ones",
        columns={},
        display=lambda tables, confidence: Display("ones", "Ones", ["Pair"], [], []),
    )
)
"""


def test_a_plugin_reaches_the_nodes_that_compute_and_show_it_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "ones.py"

    def codes(*, plugin: bool = True) -> dict[str, str]:
        study = Study(load_study(BASE | ({"plugins": [str(path)]} if plugin else {}), ROOT))
        assert ("ones" in stages.report.tables(study)) is plugin
        contrast, agreement = stages.agree.contrast_params(study), stages.agree.params(study)
        return {"contrast": contrast["code"], "agreement": agreement["code"]} | {
            stage: stages.report.params(study, stage)["code"] for stage in ("collect_tables", "write_report")
        }

    without = codes(plugin=False)
    path.write_text(PLUGIN)
    before = codes()
    path.write_text(PLUGIN.replace('"one": 1', '"one": 2'))
    after = codes()
    plugins.use([])
    assert before["contrast"] == after["contrast"] == without["contrast"]
    for name in ("agreement", "collect_tables", "write_report"):
        assert len({without[name], before[name], after[name]}) == 3, name
    assert codes(plugin=False) == without


def answers(task: str = "ag_news") -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    both = (report_study.answers_of(name, task, "clean") for name in ("base-qwen", "tiny-qwen"))
    return (*both, report_study.LABELS[task])  # type: ignore[return-value]


def test_a_statistic_changes_no_other(added: str) -> None:
    found = compare(*answers(), draws=100)
    assert found[added]["count"] > 0
    del found[added]
    PAIR_STATISTICS.drop([added])
    assert json.dumps(found) == json.dumps(compare(*answers(), draws=100))


@pytest.mark.parametrize("name", ["kappa", "match", "rows"])
def test_a_statistic_with_the_name_of_another_part_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAIR_STATISTICS._added, name, replace(STATISTIC, name=name))
    with pytest.raises(StudyError, match=name):
        compare(*answers(), draws=10)


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_a_statistic_that_no_file_could_hold_is_told(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAIR_STATISTICS._added, "odd", PairStatistic("odd", lambda *_: {"value": value}))
    with pytest.raises(StudyError, match="odd"):
        compare(*answers(), draws=10)


def test_comparisons_from_before_a_table_was_added_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = report_study.write_study(tmp_path, report_study.OUTLINE)
    monkeypatch.setitem(TABLES._added, TABLE.name, TABLE)
    with pytest.raises(StudyError, match=f"agreement.*{TABLE.name}"):
        report_study.build(made)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"section": "agrement"}, "'agreement'"),
        ({"name": "Two words"}, "Two words"),
        ({"columns": None, "build": None}, "build"),
    ],
)
def test_a_table_that_could_not_be_shown_is_refused_when_it_is_made(wrong: Mapping[str, Any], told: str) -> None:
    with pytest.raises(StudyError, match=told):
        replace(TABLE, **wrong)


def test_tables_that_are_made_from_each_other_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        table = replace(TABLE, name=name, columns=None, build=lambda results, other=other: results[other])
        monkeypatch.setitem(TABLES._added, name, table)
    with pytest.raises(StudyError, match="one"):
        report_study.build(report_study.write_study(tmp_path, report_study.OUTLINE))


def test_every_table_has_a_title_and_its_own_name() -> None:
    shown = {name: table.shown(Tables(), 0.95) for name, table in TABLES.items()}
    assert {display.name for display in shown.values()} == set(TABLES)
    assert all(display.title and display.columns for display in shown.values())
    assert len({display.title for display in shown.values()}) == len(shown)
