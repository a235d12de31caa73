"""What several tests share: the report's page of a made-up study in a real browser, and a finished small study."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from checkout import Checkout
from report_page import CHROMIUM, NAMES, SECONDS, SHORT, TROUBLES, opened
from reruns import Study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def study_of(file: Path) -> str:
    """What keeps a file's tests together: the study that several files change and bring back, or the file."""
    return "micro" if re.search(r"\bmicro: ", file.read_text(encoding="utf-8")) else file.name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that share a study are run by one process, the tests of any other file together, too."""
    from xdist.scheduler import LoadScopeScheduling

    class ByStudy(LoadScopeScheduling):
        """The plugin asks it for what stays together; its own groups take names that this pytest does not have."""

        def _split_scope(self, nodeid: str) -> str:
            return study_of(config.rootpath / nodeid.partition("::")[0])

    return ByStudy(config, log)


@pytest.fixture(scope="session")
def tables_shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A made-up study of speech LLMs, opened models, costs and clips, as what the page is made from."""
    from report_mechanism_study import SPEAKERS, TASKS, World, write_mechanism
    from report_study import IMPLICIT_OUTLINE, STATISTICS, build, write_study
    from test_report_browser import write_speech

    from cascade_equivalence.report.browser import browser_items
    from cascade_equivalence.report.costs import clip_seconds, costs_table
    from cascade_equivalence.report.display import Display
    from cascade_equivalence.report.figures.write import write_figures
    from cascade_equivalence.report.naming import nodes
    from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac

    root = tmp_path_factory.mktemp("study")
    study = write_study(root, IMPLICIT_OUTLINE)
    tables = build(study, mechanism=write_mechanism(root, World(draws=2), TASKS[:1], SPEAKERS[:1]))
    times = np.arange(int(SECONDS * SAMPLING_RATE)) / SAMPLING_RATE
    flac = encode_flac((0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32))
    speech = [
        write_speech(root, task, voice, "clean", flac)
        for task in ("ag_news", "sst2")
        for voice in ("heart", "us", "gb")
    ]
    answers = {
        node: pl.read_parquet(path).with_columns(seconds=pl.lit(0.9 if node.who == "talker" else 0.2))
        for node, path in nodes(study.answers, "system").items()
    }
    costs = costs_table(answers, {}, clip_seconds(speech), IMPLICIT_OUTLINE, tables.accuracy)
    tables = tables.changed(costs=costs)
    return {
        "tables": tables,
        "figures": write_figures(tables, root / "figures"),
        "outline": IMPLICIT_OUTLINE,
        "statistics": STATISTICS,
        "items": browser_items(study.answers, study.transcripts, speech, [], IMPLICIT_OUTLINE, per_kind=2),
        "extra_tables": [
            (
                "paper",
                Display("layers", "Layers", ["Layer", "R²"], [[str(i), cell] for i, cell in enumerate(SHORT)], []),
            ),
            ("paper", Display("grouped", "Grouped", ["Layer", "R²"], [["model", ""], ["8", ".2"], ["0", ".1"]], [])),
        ],
        "provenance": {"seed": 0, "models": {"a-model-with-a-name-" + "that-goes-on-" * 12: "revision"}},
    }


@pytest.fixture(scope="session")
def address(tables_shown: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page is on disk."""
    from cascade_equivalence.report.html import write_report

    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(path, title="Cascade equivalence", **tables_shown).as_uri()


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to lead a browser with")
    if CHROMIUM is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    # Chromium's own sandbox needs a user who is not root.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as lead:
        chromium = lead.chromium.launch(
            executable_path=CHROMIUM, args=[*sandbox, "--autoplay-policy=no-user-gesture-required"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    """The page on a desktop."""
    page = opened(browser, address)
    yield page
    troubles = TROUBLES[page]
    page.context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def finished_micro(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Study:
    """The study of ``micro_config``, run to its end."""
    folder = tmp_path_factory.mktemp("micro")
    checkout = Checkout(folder / "project")
    # Models of its own: a test replaces one.
    shutil.copytree(tiny_models, checkout.root / "mine")
    return Study(checkout, checkout.root / "mine", folder / "kept")


@pytest.fixture
def micro(finished_micro: Study) -> Iterator[Study]:
    """The same, brought back to what it was after the test."""
    yield finished_micro
    finished_micro.restore()
