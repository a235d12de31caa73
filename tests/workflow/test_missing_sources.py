"""A folder or file that a study names and that is not there stops the plan in words, whatever rule would read it."""

from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, Config

TASKS = ("ag_news", "sst2")


def nothing(folder: Path) -> None:
    """Leave the folder out."""


def empty(folder: Path) -> None:
    """Make the folders, without files in them."""
    for task in TASKS:
        (folder / task).mkdir(parents=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("missing") / "project")


@pytest.mark.parametrize(
    ("there", "named"),
    [(nothing, ("items.folder", "voices.own.folder")), (empty, ("test.csv", "items.folder"))],
)
def test_what_is_missing_is_named_without_a_traceback(
    project: Checkout, study: Config, tmp_path: Path, there: Any, named: tuple[str, ...]
) -> None:
    folder = tmp_path / "data"
    there(folder)
    study["items"] = {"source": "published", "folder": str(folder), "per_task": 8}
    study["speech"] = {"voices": ["own"]}
    study["definitions"]["voices"] = {"own": {"provider": "recordings", "folder": str(folder)}}
    del study["noise"]
    done = project.snakemake(study, "--dry-run")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout and str(folder) in done.stdout
    for name in named:
        assert name in done.stdout, done.stdout
