"""Answers that others produced go through a study to its report, and no model is needed for them."""

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from checkout import AGGREGATES, Checkout

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.imported.agree import Wanted, agree
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.registry import get_task

TASK, RESULTS = "sst2", "results/outside"
STUDY: dict[str, Any] = {
    "registry": [f"config/{name}.yaml" for name in ("models", "systems", "voices", "tasks")],
    "results": RESULTS,
    "tasks": [TASK],
    "items": {"source": "demo", "per_task": len(get_task(TASK).load_demo(RESOURCES / "items"))},
    "speech": {"voices": ["us"]},
    "systems": ["one", "two"],
    "pairs": [{"system": "one", "reference": "two", "label": "answers from elsewhere"}],
    "statistics": {"draws": 200},
    "definitions": {
        "systems": {
            name: {"kind": "imported", "answers": {TASK: f"theirs/{name}.csv"}, "columns": {"id": "doc"}}
            for name in ("one", "two")
        }
    },
}


def write_answers(folder: Path, name: str, seed: int) -> None:
    draw = random.Random(seed)
    rows = [
        {"doc": item.id, "answer": f"It is {draw.choice([item.label, item.label, 'positive'])}.", "label": item.label}
        for item in get_task(TASK).load_demo(RESOURCES / "items")
    ]
    pl.DataFrame(rows).write_csv(folder / f"{name}.csv")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study, run to its end."""
    checkout = Checkout(tmp_path_factory.mktemp("outside") / "project")
    (checkout.root / "theirs").mkdir()
    for seed, name in enumerate(STUDY["systems"]):
        write_answers(checkout.root / "theirs", name, seed)
    done = checkout.run(STUDY)
    assert done.returncode == 0, done.stdout
    return checkout


def test_the_report_has_what_the_files_say_and_what_agree_says_of_them(site: Checkout) -> None:
    results = site.root / RESULTS
    assert (results / "report.html").is_file() and not (site.root / "results" / "models").exists()
    paths = [site.root / "theirs" / f"{name}.csv" for name in STUDY["systems"]]
    wanted = Wanted(tasks=[TASK], columns={"id": "doc"})
    (found,) = agree(paths, wanted, StatisticsConfig()).tasks
    (row,) = pl.read_csv(results / "tables" / "agreement.csv").to_dicts()
    for end, suffix in {"value": "", "low": "_low", "high": "_high"}.items():
        assert found.estimates["kappa"][end] == pytest.approx(row[f"kappa{suffix}"])
    accuracy = pl.read_csv(results / "tables" / "accuracy.csv")
    assert accuracy["kind"].to_list() == ["imported"] * 2
    assert accuracy["accuracy"].to_list() == pytest.approx(
        [found.estimates[f"accuracy_{side}"]["value"] for side in "ab"]
    )


def test_a_changed_file_is_read_again_and_nothing_else(site: Checkout) -> None:
    assert site.plan(STUDY).jobs == set()
    write_answers(site.root / "theirs", "two", 7)
    rules = [job[0] for job in site.plan(STUDY).jobs]
    assert sorted(set(rules) - {*AGGREGATES, "all"}) == ["agree", "answer_imported"]
    assert rules.count("answer_imported") == 1
