"""A task added in one place is shown wherever tasks are: config, tables, figures, the paper's layout, the page."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import report_study
from pydantic import TypeAdapter

from cascade_equivalence.config.names import TASKS, TaskName
from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.config.schema import json_schema
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.paper_tables import paper_displays
from cascade_equivalence.report.tables import write_markdown
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.planned import assumed_items

TITLE = "Fruit & Veg"


class Fruit(Task):
    """Whether a word is a fruit."""

    name = "fruit"
    title = TITLE
    labels = ("fruit", "vegetable")
    patterns = ("none",)
    obtain = "nowhere"

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        raise NotImplementedError


@pytest.fixture
def fruit(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The task, among those of the package."""
    task = Fruit()
    TASKS.add(task)
    monkeypatch.setitem(report_study.LABELS, task.name, list(task.labels))
    monkeypatch.setitem(report_study.SKILL, task.name, 0.8)
    yield task.name
    TASKS.drop([task.name])


def test_it_is_shown_wherever_tasks_are(fruit: str, tmp_path: Path) -> None:
    assert TypeAdapter(TaskName).validate_python(fruit) == fruit
    assert fruit in str(json_schema())
    assert len(assumed_items(fruit, 2)) == 2

    outline = replace(report_study.OUTLINE, tasks=[*report_study.OUTLINE.tasks, fruit])
    tables = report_study.build(report_study.write_study(tmp_path, outline))
    assert tables.accuracy["task"].unique(maintain_order=True).to_list()[-1] == fruit
    assert fruit in tables.agreement["task"] and fruit in tables.equivalence["task"]

    write_markdown(tables, tmp_path / "tables", 0.95)
    assert TITLE in (tmp_path / "tables" / "accuracy.md").read_text().replace("&amp;", "&")
    figures = write_figures(tables, tmp_path / "figures")
    assert any(TITLE in path.read_text().replace("&amp;", "&") for path in figures if path.suffix == ".svg")
    numbers = read_numbers(RESOURCES / "paper" / "numbers.csv")
    (second,) = (table for table in paper_displays(tables, None, PaperConfig(), numbers) if table.name == "table2")
    assert TITLE in second.columns
    page = write_report(
        tmp_path / "report.html",
        title="t",
        tables=tables,
        figures=figures,
        outline=outline,
        statistics=report_study.STATISTICS,
    )
    assert TITLE.replace("&", "&amp;") in page.read_text()
