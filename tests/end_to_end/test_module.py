"""The workflow as a module of another one, where its package is not installed."""

from pathlib import Path

import polars as pl
import pytest
import yaml
from checkout import Checkout
from elsewhere import Elsewhere, small_config

SNAKEFILE = """
configfile: "study.yaml"


module study:
    snakefile:
        "{snakefile}"
    config:
        config


use rule * from study{renamed}
"""


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    """A copy of the project that the other workflow names."""
    return Checkout(tmp_path / "project")


@pytest.fixture
def other(tmp_path: Path, tiny_models: Path) -> Elsewhere:
    """The folder of the other workflow, with a config and nothing else."""
    other = Elsewhere(tmp_path / "other")
    (other.root / "study.yaml").write_text(yaml.safe_dump(small_config(tiny_models)), encoding="utf-8")
    return other


def write_snakefile(other: Elsewhere, project: Checkout, renamed: str = "") -> None:
    text = SNAKEFILE.format(snakefile=project.root / "workflow" / "Snakefile", renamed=renamed)
    (other.root / "Snakefile").write_text(text, encoding="utf-8")


def test_another_workflow_makes_the_report_of_a_study(other: Elsewhere, project: Checkout) -> None:
    """Whether it gives the rules names of its own or not."""
    write_snakefile(other, project, " as study_*")
    done = other.snakemake("study_all")
    assert done.returncode == 0, done.stdout
    assert "study_answer" in done.stdout and "study_write_report" in done.stdout
    results = other.root / "results" / "tiny"
    assert (results / "report.html").is_file()
    assert len(pl.read_parquet(results / "answers" / "first" / "sst2" / "clean.parquet")) == 4
    # A node's record and log go by the node, whatever the other workflow calls its rule.
    assert (results / "records" / "answer" / "first" / "sst2" / "clean.json").is_file()
    assert not (project.root / "results").exists() and not (project.root / ".snakemake").exists()
    again = other.snakemake("--dry-run", "study_all")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout, again.stdout
    write_snakefile(other, project)
    again = other.snakemake("--dry-run")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout, again.stdout
    # By either name a node is made again and goes to the same place.
    answers = results / "answers" / "first" / "sst2" / "clean.parquet"
    before = pl.read_parquet(answers).drop("seconds")
    answers.unlink()
    done = other.snakemake(answers.relative_to(other.root).as_posix())
    assert done.returncode == 0 and pl.read_parquet(answers).drop("seconds").equals(before), done.stdout
