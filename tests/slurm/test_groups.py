"""Nodes that share a job: what comes out is what one machine gives, each node with its own files, one at a time.

Models are tiny and random. Answers of a system are one job, all comparisons are another.
"""

import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from checkout import REPOSITORY, Checkout, Config, tiny_config
from cluster import Cluster
from killing import STORES, assert_computed_once
from on_cluster import PROFILE, Site

from cascade_equivalence.jobs.last_opened import SAID

SYSTEMS, TASKS = ("first", "second"), ("ag_news", "sst2")
ANSWERS = [(system, task) for system in SYSTEMS for task in TASKS]
MEASURED = "seconds"


@pytest.fixture(scope="module")
def study(tiny_models: Path) -> Config:
    """Two systems on two tasks."""
    study = tiny_config(tiny_models)
    del study["noise"]
    study |= {"speech": {"voices": ["us"]}, "items": {"source": "demo", "per_task": 4}}
    # `auto` asks SLURM for a GPU; torch sees none here and takes the processor.
    del study["answer"]["device"]
    return study


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, study: Config) -> Checkout:
    """The study, run without a scheduler."""
    checkout = Checkout(tmp_path_factory.mktemp("local") / "project")
    done = checkout.run(study, "all_agreement")
    assert done.returncode == 0, done.stdout
    return checkout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, study: Config, local: Checkout) -> Site:
    """The same through SLURM, from the transcripts on."""
    site = Site(tmp_path_factory.mktemp("groups") / "project", cluster)
    done = Checkout.run(site, study, "all_transcripts")
    assert done.returncode == 0, done.stdout
    done = site.snakemake(study, "all_agreement", *PROFILE)
    assert done.returncode == 0, done.stdout
    return site


def sent(site: Site) -> dict[str, list[str]]:
    """This copy's SLURM jobs, by comment: partition, processors, MB, minutes."""
    lines = site.cluster.run("squeue", "-h", "-t", "all", "-o", "%k|%P|%c|%m|%l|%Z").stdout.splitlines()
    return {comment: rest for comment, *rest, folder in (line.split("|") for line in lines) if folder == str(site.root)}


def test_a_systems_answers_are_one_job_and_all_comparisons_another(site: Site) -> None:
    jobs = sent(site)
    assert sorted(jobs) == ["rule_answers_first_answer", "rule_answers_second_answer", "rule_comparisons_agree"]
    # The memory and the processor of one node, the minutes of all.
    for comment, (partition, processors, _, minutes) in jobs.items():
        assert partition == ("cpu" if "comparisons" in comment else "gpu")
        assert processors == "1" and int(minutes.partition(":")[0]) >= 2 * 3


def test_each_node_has_its_files_and_they_are_those_of_one_machine(site: Site, local: Checkout) -> None:
    for system, task in ANSWERS:
        for kind, end in (("logs/answer", "log"), ("benchmarks/answer", "tsv")):
            assert (site.root / "results/tiny" / kind / system / task / f"clean.{end}").is_file()
        name = f"results/tiny/answers/{system}/{task}/clean.parquet"
        ours, theirs = (pl.read_parquet(each.root / name).drop(MEASURED) for each in (site, local))
        assert ours.to_dicts() == theirs.to_dicts()
    found = site.files("results/tiny/agreement/**/*.csv")
    assert len(found) == len(TASKS) and found == local.files("results/tiny/agreement/**/*.csv")
    assert_computed_once(site.files(STORES))


def test_nodes_of_a_job_ran_one_after_the_other(site: Site) -> None:
    for system in SYSTEMS:
        times = sorted(_times(site, system, task) for task in TASKS)
        assert all(before[1] <= after[0] for before, after in pairwise(times)), times


def test_answers_of_a_job_open_their_model_once(site: Site) -> None:
    for system in SYSTEMS:
        logs = [(site.root / f"results/tiny/logs/answer/{system}/{task}/clean.log").read_text() for task in TASKS]
        assert sorted(SAID in log for log in logs) == [False, *[True] * (len(TASKS) - 1)]


def _times(site: Site, system: str, task: str) -> tuple[float, float]:
    """When a node's log was begun and its answers were there."""
    folder = site.root / "results/tiny"
    begun: dict[str, Any] = json.loads((folder / f"records/answer/{system}/{task}/clean.json").read_text())
    began = datetime.fromisoformat(begun["started"]).timestamp()
    return began, began + float(begun["seconds"])


def test_what_shares_jobs_is_asked_to_take_turns() -> None:
    profile = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    assert profile["groups"].keys() == {rule for rule, asked in profile["set-resources"].items() if "in_turn" in asked}
