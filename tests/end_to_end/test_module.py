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
    write_snakefile(other, project)
    done = other.snakemake()
    assert done.returncode == 0, done.stdout
    assert (other.root / "results" / "tiny" / "report.html").is_file()
    assert not (project.root / "results").exists() and not (project.root / ".snakemake").exists()
    again = other.snakemake("--dry-run")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout, again.stdout


def test_the_rules_can_be_renamed(other: Elsewhere, project: Checkout) -> None:
    write_snakefile(other, project, " as study_*")
    done = other.snakemake("--dry-run", "study_all")
    assert done.returncode == 0, done.stdout
    assert "study_answer" in done.stdout and "study_write_report" in done.stdout


def test_renamed_rules_make_answers(other: Elsewhere, project: Checkout) -> None:
    write_snakefile(other, project, " as study_*")
    answers = "results/tiny/answers/first/sst2/clean.parquet"
    done = other.snakemake(answers)
    assert done.returncode == 0, done.stdout
    assert len(pl.read_parquet(other.root / answers)) == 4
    # A node's record and log go by the node, whatever the other workflow calls its rule.
    assert (other.root / "results/tiny/records/answer/first/sst2/clean.json").is_file()
    again = other.snakemake("--dry-run", answers)
    assert again.returncode == 0 and "Nothing to be done" in again.stdout, again.stdout
