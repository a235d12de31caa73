"""The README shows the screen in which the demo ends."""

import pytest
import sample
from rich.cells import cell_len

from cascade_equivalence.__main__ import read_study
from cascade_equivalence.report.screen import LINES, WIDTH
from cascade_equivalence.resources import REPOSITORY

DEMO = REPOSITORY / "results" / "demo" / "report.html"


def test_the_readme_shows_one_screen_of_the_demo_s_systems() -> None:
    study = read_study(REPOSITORY / "config" / "demo.yaml")
    lines = sample.shown().splitlines()
    assert 0 < len(lines) <= LINES
    assert max(map(cell_len, lines)) <= WIDTH
    words = set(sample.shown().replace(",", " ").replace(":", " ").split())
    assert {system for pair in study.config.pairs for system in (pair.system, pair.reference)} <= words


@pytest.mark.skipif(not DEMO.exists(), reason="the demo has not run in this folder")
def test_it_is_what_the_finished_demo_prints() -> None:
    assert sample.shown() == sample.printed()
