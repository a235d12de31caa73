"""What goes wrong on a cluster costs time and nothing else: results are complete, equal, and computed once.

The models are tiny and random, so that a job is its start-up and a few seconds of batches that a fault can hit.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from checkout import Checkout, Config, tiny_config
from cluster import NODES, Cluster
from killing import STORES, assert_computed_once, assert_kept, keys, wait_until, whole_lines
from on_cluster import PROFILE, Site

PATIENCE = 900.0  # seconds, for a machine with much else to do
ITEMS, BATCH = 16, 4
TASKS = ("ag_news", "sst2")
ASRS = ("whisper-a", "whisper-b")
JOBS = [(asr, task) for asr in ASRS for task in TASKS]
SCANCELLED, TOO_LONG, TOO_LARGE, NODE_LOST = JOBS
BEFORE, UNTIL = "all_speech", "all_transcripts"


@pytest.fixture(scope="module")
def study(tiny_models: Path) -> Config:
    """Four transcripts, each long enough to be hit: random models that repeat themselves to the last token."""
    study = tiny_config(tiny_models)
    del study["noise"]
    study |= {"speech": {"voices": ["us"]}, "items": {"source": "demo", "per_task": ITEMS}}
    study["transcribe"] = {"dtype": "float32", "batch_size": BATCH, "max_new_tokens": 220}
    del study["answer"]["device"]
    return study


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory, study: Config) -> Checkout:
    """The study up to its speech."""
    checkout = Checkout(tmp_path_factory.mktemp("spoken") / "project")
    done = checkout.run(study, BEFORE)
    assert done.returncode == 0, done.stdout
    return checkout


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, spoken: Checkout, study: Config) -> Checkout:
    """The study up to its transcripts, run without a scheduler and unbroken."""
    checkout = Checkout(tmp_path_factory.mktemp("unbroken") / "project")
    grow(checkout, spoken)
    done = checkout.run(study, UNTIL)
    assert done.returncode == 0, done.stdout
    return checkout


def grow(checkout: Checkout, spoken: Checkout) -> None:
    """Give a copy what another has made."""
    for name in ("results", ".snakemake"):
        shutil.copytree(spoken.root / name, checkout.root / name, dirs_exist_ok=True)


class Sent:
    """A Snakemake at work on a cluster.

    Args:
        site: Where it runs.
        study: The study.
        arguments: More of Snakemake's arguments.
    """

    def __init__(self, site: Site, study: Config, *arguments: str) -> None:
        self.site = site
        self.log = site.root / f"run-{time.monotonic_ns()}.log"
        command = site.command(study, UNTIL, *PROFILE, *arguments)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *command],
                cwd=site.root,
                env=site.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that happens while it is at work."""
        assert wait_until(lambda: holds() or self.process.poll() is not None, PATIENCE), self.said()
        assert holds(), self.said()


def prepared(folder: Path, cluster: Cluster, spoken: Checkout) -> Site:
    """A copy in which the speech was made."""
    site = Site(folder / "project", cluster)
    grow(site, spoken)
    return site


def stored(site: Checkout, job: tuple[str, str]) -> int:
    path = site.root / "results/tiny/store/transcripts" / job[0] / job[1] / "clean.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def comment(job: tuple[str, str]) -> str:
    """What the executor says of a job to SLURM."""
    return f"rule_transcribe_wildcards_{job[0]}_{job[1]}_clean"


def number(site: Site, job: tuple[str, str]) -> str:
    """SLURM's number of the job that is at work on a transcript."""
    return next(found for found, said in site.cluster.jobs("RUNNING").items() if said == comment(job))


def holder(site: Site, job: tuple[str, str]) -> dict[str, Any]:
    """Who claims a transcript."""
    claim = site.root / "results/tiny/store/claims/transcripts" / job[0] / job[1] / "clean.parquet.json"
    content = claim.read_text() if claim.exists() else ""
    found: dict[str, Any] = json.loads(content) if content else {}
    return found


def freeze(site: Site, run: Sent, jobs: list[tuple[str, str]]) -> None:
    """Stop jobs in the midst of their work, each as soon as it has stored something."""
    waiting = list(jobs)
    while waiting:
        run.until(lambda: any(stored(site, job) and holder(site, job) for job in waiting))
        for job in [job for job in waiting if stored(site, job)]:
            os.kill(holder(site, job)["pid"], signal.SIGSTOP)
            assert holder(site, job) and stored(site, job) < ITEMS, "it was finished already"
            waiting.remove(job)


def states(site: Site) -> dict[str, list[str]]:
    """What became of this copy's SLURM jobs, by comment, in their order."""
    lines = site.cluster.run("squeue", "-h", "-t", "all", "-S", "i", "-o", "%T|%k|%Z").stdout.splitlines()
    found: dict[str, list[str]] = {}
    for state, said, folder in (line.split("|") for line in lines):
        if folder == str(site.root):
            found.setdefault(said, []).append(state)
    return found


def transcripts(checkout: Checkout) -> dict[str, list[dict[str, Any]]]:
    """What must come out the same: everything but the times."""
    paths = sorted((checkout.root / "results/tiny/transcripts").rglob("*.parquet"))
    return {
        path.relative_to(checkout.root).as_posix(): pl.read_parquet(path).drop("seconds").to_dicts() for path in paths
    }


def assert_complete(site: Site, local: Checkout) -> None:
    """Complete, equal, computed once."""
    assert transcripts(site) == transcripts(local) and len(transcripts(local)) == len(JOBS)
    stores, expected = site.files(STORES), local.files(STORES)
    assert_computed_once(stores)
    assert {path: sorted(keys(content)) for path, content in stores.items()} == {
        path: sorted(keys(content)) for path, content in expected.items()
    }
    assert set(site.files("results/tiny/store/claims/**/*.json").values()) == {b""}


@pytest.fixture(scope="module")
def struck(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, spoken: Checkout, study: Config
) -> Iterator[Sent]:
    """One run in which four jobs are hit, each by a fault of its own, and slurmctld is restarted meanwhile."""
    site = prepared(tmp_path_factory.mktemp("struck"), cluster, spoken)
    # Too little memory for the first attempt at one transcript.
    asr, task = TOO_LARGE
    mine = f"wildcards.asr == '{asr}' and wildcards.task == '{task}'"
    run = Sent(site, study, "--set-resources", f"transcribe:mem_mb=150 if attempt == 1 and {mine} else 3000")
    try:
        freeze(site, run, [SCANCELLED, TOO_LONG, NODE_LOST])
        before = whole_lines(site.files(STORES))
        cluster.stop_controller()
        time.sleep(3)
        cluster.start_controller()
        cluster.wait_for_nodes()
        cluster.run("scancel", number(site, SCANCELLED))
        # As an administrator may change it: a second, since the least that can be asked for is a minute.
        cluster.run("scontrol", "update", f"jobid={number(site, TOO_LONG)}", "timelimit=0:01")
        late = comment(TOO_LONG)
        run.until(lambda: "TIMEOUT" in states(site)[late])
        node = cluster.run("squeue", "-h", "-j", number(site, NODE_LOST), "-o", "%N").stdout.strip()
        cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        run.until(lambda: "NODE_FAIL" in states(site)[comment(NODE_LOST)])
        cluster.run("scontrol", "update", f"nodename={node}", "state=resume")
        assert_kept(before, whole_lines(site.files(STORES)))
        run.process.wait(PATIENCE)
        yield run
    finally:
        run.process.kill()


def test_each_fault_happened(struck: Sent) -> None:
    found = {job: states(struck.site)[comment(job)] for job in JOBS}
    assert found[SCANCELLED][0] == "CANCELLED"
    assert found[TOO_LONG][0] == "TIMEOUT"
    assert found[NODE_LOST][0] == "NODE_FAIL"
    assert found[TOO_LARGE][0] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert "exceeded memory limit" in "".join(
        log.read_text() for log in (struck.site.root / "logs/slurm").rglob("*.log")
    )


def test_the_run_goes_on_by_itself(struck: Sent, local: Checkout) -> None:
    assert struck.process.returncode == 0, struck.said()
    found = states(struck.site)
    assert all(found[comment(job)][-1] == "COMPLETED" for job in JOBS)
    assert_complete(struck.site, local)


def test_the_next_attempt_halves_the_batch(struck: Sent) -> None:
    """Items of one batch share its time; the batch that was cut off was computed again, since it was never stored."""
    path = struck.site.root / "results/tiny/store/transcripts" / SCANCELLED[0] / SCANCELLED[1] / "clean.jsonl"
    seconds = [json.loads(line)["value"]["seconds"] for line in path.read_text().splitlines()]
    sizes = [len(list(batch)) for _, batch in groupby(seconds)]
    assert sizes[0] == BATCH and sizes[-1] < BATCH


def test_a_plain_rerun_has_nothing_to_do(struck: Sent, study: Config) -> None:
    done = struck.site.snakemake(study, UNTIL, *PROFILE)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout, done.stdout


def test_a_killed_snakemake_leaves_jobs_that_neither_double_nor_stay(
    tmp_path: Path, cluster: Cluster, spoken: Checkout, study: Config, local: Checkout
) -> None:
    site = prepared(tmp_path, cluster, spoken)
    drained, left = NODES
    # Nothing new is sent to a node that is drained.
    cluster.run("scontrol", "update", f"nodename={drained}", "state=drain", "reason=test")
    run = Sent(site, study)
    try:
        frozen = JOBS[0]
        freeze(site, run, [frozen])
        run.process.kill()
        run.process.wait()
        mine = number(site, frozen)
        nodes = cluster.run("squeue", "-h", "-t", "all", "-o", "%N|%Z").stdout.splitlines()
        assert {node for node, _, folder in (line.partition("|") for line in nodes) if folder == str(site.root)} <= {
            left,
            "",
        }
        before = whole_lines(site.files(STORES))
        # The same task once more, by a user who is in a hurry: refused, and told by whom.
        target = f"results/tiny/transcripts/{frozen[0]}/{frozen[1]}/clean.parquet"
        doubled = site.run(study, target, "--nolock", "--rerun-incomplete")
        assert doubled.returncode != 0
        assert f"SLURM job {mine} (process {holder(site, frozen)['pid']} on " in doubled.stdout, doubled.stdout
        assert f"scancel {mine}" in doubled.stdout
        assert_kept(before, whole_lines(site.files(STORES)))
        cluster.run("scontrol", "update", f"nodename={drained}", "state=resume")
        # The plain way to go on.
        again = Sent(site, study)
        assert again.process.wait(PATIENCE) == 0, again.said()
        assert "SLURM jobs of a run that was stopped" in again.said() and comment(frozen) in again.said()
        assert_complete(site, local)
    finally:
        run.process.kill()
        cluster.run("scontrol", "update", f"nodename={drained}", "state=resume")
