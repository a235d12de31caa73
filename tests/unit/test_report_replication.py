"""How many of the paper's numbers a study finds: counted over the paper's own systems, never over stand-ins."""

from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
import pytest
from figure_text import written_in
from test_report_comparison import config, papers_own

from cascade_equivalence.report.comparison import COMPARISON, NO, SAME, STAND_IN, comparison
from cascade_equivalence.report.figures.drawing import save
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.replication import REPLICATION, display, papers_limits, replication, sentence
from cascade_equivalence.report.replication_rows import NAME, figure1_beside, shown
from cascade_equivalence.resources import PAPER_NUMBERS

mpl.use("Agg")
from matplotlib import pyplot as plt

NUMBERS = read_numbers(PAPER_NUMBERS)
Row = dict[str, Any]


def counts(table: pl.DataFrame) -> dict[str, Row]:
    """Rows by name."""
    return {row["count"]: row for row in table.iter_rows(named=True)}


def beside(row: Row, **ours: Any) -> Row:
    """A row of the comparison."""
    shown = {name: value for name, value in row.items() if name in COMPARISON}
    shown |= {"paper": row["value"], "paper_low": row["low"], "paper_high": row["high"], "applies": SAME}
    return shown | {"ours": row["value"]} | ours


def frame(rows: list[Row]) -> pl.DataFrame:
    """A comparison."""
    return pl.DataFrame(rows, schema=COMPARISON, orient="row")


@pytest.fixture(scope="module")
def own() -> pl.DataFrame:
    """A study that found what the paper found."""
    return replication(comparison(NUMBERS, papers_own(), config()))


def test_a_study_that_found_the_papers_numbers_agrees_in_all(own: pl.DataFrame) -> None:
    found = counts(own)
    assert set(own.columns) == set(REPLICATION)
    for name in ("numbers", "in_papers", "direction"):
        assert found[name]["agree"] == found[name]["of"] > 0, name
    assert found["order"]["of"] == 7
    assert found["order"]["kendall"] == pytest.approx(1) and found["order"]["spearman"] == pytest.approx(1)


def test_figure_1s_caption_gives_its_cells_an_interval(own: pl.DataFrame) -> None:
    cells = NUMBERS.filter(place="Figure 1", statistic="kappa").to_dicts()
    widths = {row["task"]: papers_limits(beside(row)) for row in cells if row["low"] is None}
    assert all(widths.values())
    (low, high), (wide_low, wide_high) = widths["ag_news"] or (0, 0), widths["meld"] or (0, 0)
    assert high - low == pytest.approx(0.04) and wide_high - wide_low == pytest.approx(0.14)
    assert counts(own)["in_papers"]["of"] >= len(cells)


def test_numbers_far_off_are_counted_as_such() -> None:
    cells = NUMBERS.filter(place="Figure 1", statistic="kappa").to_dicts()
    off = [beside(row, ours=1 - row["value"], ours_low=0.999, ours_high=1.0) for row in cells]
    found = counts(replication(frame(off)))
    assert found["in_papers"]["agree"] < 5 and found["in_ours"] == found["in_ours"] | {"of": len(cells), "agree": 0}
    assert found["order"]["kendall"] == pytest.approx(-1)


@pytest.mark.parametrize(("factor", "agree"), [(1.0, True), (0.1, True), (-1.0, False), (0.0, False)])
def test_direction_is_the_sign_and_not_the_size(factor: float, agree: bool) -> None:
    rows = NUMBERS.filter(statistic="accuracy_change").to_dicts()
    found = counts(replication(frame([beside(row, ours=factor * row["value"]) for row in rows])))["direction"]
    assert (found["agree"], found["of"]) == (len(rows) if agree else 0, len(rows))


def test_stand_ins_are_counted_and_never_judged() -> None:
    table = replication(comparison(NUMBERS, papers_own(), config(stands_in=True)))
    for name, row in counts(table).items():
        assert row["of"] == 0 and not row["agree"] and row["stand_ins"] > 0, name
        assert row["kendall"] is None
    assert "not judged" in sentence(table)


@pytest.mark.parametrize("applies", [SAME, STAND_IN, NO])
def test_one_sentence_says_it(applies: str) -> None:
    rows = [beside(row, applies=applies) for row in NUMBERS.to_dicts()]
    said = sentence(replication(frame(rows)))
    assert said.endswith(".") and said.count(". ") == 0
    shown = display(replication(frame(rows)))
    assert all(len(row) == len(shown.columns) for row in shown.rows)


def test_a_study_with_nothing_of_the_papers_has_all_counts_at_nothing() -> None:
    table = replication(frame([]))
    assert {row["of"] for row in table.iter_rows(named=True)} == {0}
    assert sentence(table)


@pytest.mark.parametrize("stands_in", [True, False])
def test_the_papers_rows_are_drawn_in_its_order_and_nothing_overlaps(stands_in: bool, tmp_path: Path) -> None:
    table = comparison(NUMBERS, papers_own(), config(stands_in=stands_in))
    cells = NUMBERS.filter(place="Figure 1", statistic="kappa")
    pairs = cells.select("system", "reference").unique(maintain_order=True).rows()
    figure = figure1_beside(table)
    figure.canvas.draw()
    labels = [label.get_text().splitlines()[0] for label in figure.axes[0].get_yticklabels()]
    assert labels == [" vs. ".join(pair) for pair in pairs]
    for (text, box), (other, second) in combinations(written_in(figure), 2):
        assert not box.overlaps(second), (text, other)
    plt.close(figure)
    assert all(path.stat().st_size for path in save(figure1_beside, table, tmp_path / NAME))


def test_a_study_without_the_papers_rows_has_nothing_to_draw() -> None:
    assert not shown(frame([])).height
