"""The README shows the screen in which the demo ends, and pages of the documentation its tables."""

from pathlib import Path

import pytest
import sample
from rich.cells import cell_len

from cascade_equivalence.__main__ import read_study
from cascade_equivalence.config.study import E2ESpec
from cascade_equivalence.report.screen import LINES
from cascade_equivalence.report.screen_sentences import WIDTH
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.resources import REPOSITORY

DEMO = REPOSITORY / "results" / "demo" / "report.html"


def test_the_readme_shows_one_screen_of_the_demo_s_systems() -> None:
    study = read_study(REPOSITORY / "config" / "demo.yaml")
    lines = sample.shown().splitlines()
    assert 0 < len(lines) <= LINES
    assert max(map(cell_len, lines)) <= WIDTH
    words = set(sample.shown().replace(",", " ").replace(":", " ").split())
    speech_llms = {name for name in study.config.systems if isinstance(study.system(name), E2ESpec)}
    assert speech_llms and speech_llms <= words


def test_pages_show_tables_that_their_studies_make() -> None:
    shown = [names for page in sample.PAGES for _, *names, _, _ in sample.TABLE.findall(page.read_text("utf-8"))]
    assert shown and len(shown) == len(set(map(tuple, shown)))
    for config, table in shown:
        assert (REPOSITORY / "config" / f"{config}.yaml").exists() and table in TABLES, table


def test_the_tables_are_those_of_the_studies_that_have_run() -> None:
    for page in sample.PAGES:
        text = page.read_text(encoding="utf-8")
        assert text == sample.with_tables(text), page.name


def test_a_table_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "small" / "tables").mkdir(parents=True)
    rows = "| a   |   b |\n| --- | --: |\n| 1   |   2 |\n"
    (tmp_path / "small" / "tables" / "one.md").write_text(f"## Title\n\n{rows}\nA remark.\n\n‡ at chance.\n")
    page = "<!-- table: small/one -->\nold\n<!-- table: end -->\n<!-- table: other/one -->\nkept\n<!-- table: end -->"
    new = sample.with_tables(page, tmp_path)
    assert "| 1 | 2 |" in new and "‡ at chance." in new and "A remark" not in new
    assert "old" not in new and "kept" in new and sample.with_tables(new, tmp_path) == new


@pytest.mark.skipif(not DEMO.exists(), reason="the demo has not run in this folder")
def test_it_is_what_the_finished_demo_prints() -> None:
    assert sample.shown() == sample.printed()
