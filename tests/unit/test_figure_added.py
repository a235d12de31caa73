"""A figure added in one place is planned, drawn, shown in the page and, where the paper has it, in the index."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import report_study
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
from study_config import BASE, ROOT, changed

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.figures.figure import FIGURES, Counterpart, Figure, figure_name
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.paper_tables import paper_index
from cascade_equivalence.stages.study import Study

Add = Callable[[Figure], Figure]


def bars(table: pl.DataFrame) -> Drawing:
    """A bar a system."""
    figure, axes = plt.subplots()
    axes.bar(table["system"].to_list(), table["accuracy"].to_list())
    return figure


BARS = Figure(
    name="bars",
    table="accuracy",
    section="accuracy",
    caption="A bar a system & task.",
    draw=bars,
    planned=lambda study: len(study.config.systems) > 1,
    has=lambda table: table.filter(task="sst2").height > 0,
    paper=Counterpart(9, "bars", ("accuracy",), "they stand upright"),
)


@pytest.fixture
def add() -> Iterator[Add]:
    """Adds a figure to those of the package, for as long as a test lasts."""
    yield FIGURES.add
    FIGURES.drop(FIGURES.added())


def test_it_is_shown_wherever_figures_are(add: Add, tmp_path: Path) -> None:
    add(BARS)
    study = Study(load_study(BASE, ROOT))
    declared = {path for path in stages.report.targets(study) if "bars" in path}
    assert declared == {f"{study.results}/figures/figure9_bars.{kind}" for kind in ("svg", "png")}

    tables = report_study.build(report_study.write_study(tmp_path, report_study.OUTLINE))
    written = write_figures(tables, tmp_path / "figures")
    assert {"figure9_bars.svg", "figure9_bars.png"} <= {path.name for path in written}
    page = write_report(
        tmp_path / "report.html",
        title="t",
        tables=tables,
        figures=written,
        outline=report_study.OUTLINE,
        statistics=report_study.STATISTICS,
    ).read_text()
    assert "A bar a system &amp; task. Figure 9 of the paper." in page
    accuracy = page[page.index('id="on-accuracy"') : page.index('id="on-errors"')]
    assert 'aria-labelledby="caption-bars"' in accuracy
    rows = {row[0]: row for row in paper_index((), stages.report.figures(study)).rows}
    assert rows["Figure 9"][2:] == ["figures/figure9_bars.svg", "tables/accuracy.csv", "they stand upright"]


def test_a_study_without_it_declares_and_draws_none(add: Add, tmp_path: Path) -> None:
    add(BARS)
    assert "bars" not in stages.report.figures(Study(load_study(changed(systems=["base-gemma"], pairs=[]), ROOT)))
    study = report_study.write_study(tmp_path, report_study.OUTLINE)
    tables = report_study.build(study)
    tables = tables.changed(accuracy=tables.accuracy.filter(pl.col("task") != "sst2"))
    assert "bars" not in {figure_name(path.stem) for path in write_figures(tables, tmp_path / "figures")}
    asked = write_figures(tables, tmp_path / "figures", always=["bars"])
    assert "bars" in {figure_name(path.stem) for path in asked}


@pytest.mark.parametrize(
    ("wrong", "told"), [({"section": "acuracy"}, "'accuracy'"), ({"name": "a/b"}, "a/b"), ({"name": ""}, "name")]
)
def test_a_figure_that_could_not_be_shown_is_refused_when_it_is_made(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(StudyError, match=told):
        replace(BARS, **wrong)  # type: ignore[arg-type]


def test_a_second_figure_of_a_name_is_refused(add: Add) -> None:
    with pytest.raises(StudyError, match="agreement"):
        add(replace(BARS, name="agreement"))


@pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
def test_every_figure_says_what_it_shows(figure: Figure) -> None:
    assert figure.caption.endswith(".") and len(figure.caption) > 40
