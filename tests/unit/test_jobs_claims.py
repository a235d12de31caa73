"""A task that is started twice is refused; what a dead process has left is not in the way."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.jobs import claims, slurm
from cascade_equivalence.jobs.claims import Holder, claimed, this_process
from cascade_equivalence.jobs.work import claim_of
from cascade_equivalence.stages.study import Study


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "claims" / "answers" / "first.json"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "SECONDS_TO_WAIT", 0.2)


def write(path: Path, holder: Holder) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(holder)))


def squeue(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a command of SLURM's in reach."""
    folder.mkdir(exist_ok=True)
    for name in ("squeue", "scancel"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {folder}/calls\n{script}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_claim_names_its_holder_and_is_let_go(path: Path) -> None:
    with claimed(path):
        found = Holder(**json.loads(path.read_text()))
        assert (found.host, found.pid) == (socket.gethostname(), os.getpid()) and found.lives() and found.since
    assert path.read_bytes() == b""
    with claimed(path):
        pass


def test_it_is_let_go_after_an_error(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(path):
        raise ZeroDivisionError
    assert path.read_bytes() == b""


def hold(path: Path, ready: Any) -> None:
    with claimed(path):
        ready.set()
        time.sleep(600)


def test_a_doubled_task_is_refused_and_told_by_whom(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    other = context.Process(target=hold, args=(path, ready))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(StudyError) as refusal, claimed(path):
            pass
        for part in (f"process {other.pid} on {socket.gethostname()}", "run again", f"kill {other.pid}"):
            assert part in str(refusal.value)
        # The refused one leaves the claim alone.
        assert json.loads(path.read_text())["pid"] == other.pid
        other.kill()
        other.join()
        with claimed(path):
            pass
    finally:
        other.kill()
        other.join()


def test_a_number_that_another_process_has_now_is_no_holder(path: Path) -> None:
    mine = this_process()
    assert mine.born is not None
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        write(path, replace(mine, pid=other.pid, born=mine.born - 1))
        with claimed(path):
            pass
    finally:
        other.communicate()


@pytest.mark.parametrize("content", [b"", b'{"host": "a', b"[]", b'{"host": "a", "colour": 1}'])
def test_a_claim_that_was_torn_is_none(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with claimed(path):
        pass


ELSEWHERE = Holder("node17", 4242, 1, "815", "2026-01-01T00:00:00+00:00")


def test_a_job_on_another_host_holds_while_slurm_says_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue(monkeypatch, tmp_path / "bin", "echo RUNNING")
    write(path, ELSEWHERE)
    with pytest.raises(StudyError, match=r"SLURM job 815 \(process 4242 on node17\).*scancel 815"), claimed(path):
        pass
    assert "--jobs 815" in (tmp_path / "bin" / "calls").read_text()


@pytest.mark.parametrize("script", ["true", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"])
def test_a_job_that_is_over_or_forgotten_holds_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    squeue(monkeypatch, tmp_path / "bin", script)
    write(path, ELSEWHERE)
    with claimed(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("holder", [ELSEWHERE, replace(ELSEWHERE, job=None)])
def test_who_cannot_be_asked_about_is_not_pushed_aside(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: Holder
) -> None:
    squeue(monkeypatch, tmp_path / "bin", "echo 'Unable to contact slurm controller' >&2; exit 1")
    write(path, holder)
    with pytest.raises(StudyError) as refusal, claimed(path):
        pass
    assert f"remove {path}" in str(refusal.value)
    assert json.loads(path.read_text())["host"] == "node17"


def job(output: str, **resources: Any) -> Any:
    return SimpleNamespace(output=[output], resources=resources)


def test_nodes_that_may_use_a_gpu_claim_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    root = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(root)
    raw = yaml.safe_load((root / "config" / "demo.yaml").read_text()) | {"results": str(tmp_path / "results")}
    study = Study(load_study(raw))
    output = f"{study.results}/answers/mini/sst2/clean.parquet"
    with claim_of(job(output), study):
        pass
    assert not Path(study.results).exists()
    for gpu in (0, 1):
        with claim_of(job(output, gpu=gpu), study):
            holding = [file for file in Path(study.results).rglob("*") if file.is_file()]
            assert [file.name for file in holding] == ["clean.parquet.json"] and holding[0].read_bytes()


def lines(folder: Path) -> str:
    queue = (
        f"11|rule_answer_wildcards_first_sst2_clean|{folder}",
        f"12_[1-3]|rule_agree|{folder}/",
        f"13|rule_answer|{folder}/deeper",
        f"14|my own job|{folder}",
        f"15|(null)|{folder}",
    )
    return "\n".join(f"echo '{line}'" for line in queue)


def test_only_jobs_that_snakemake_sent_off_from_this_folder_are_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a b|c"
    folder.mkdir()
    squeue(monkeypatch, tmp_path / "bin", lines(folder))
    assert slurm.jobs_of(folder) == {"11": "rule_answer_wildcards_first_sst2_clean", "12_[1-3]": "rule_agree"}


def workflow(executor: str, lock: bool, made: Sequence[tuple[str, ...]] = (), output: Sequence[str] = ()) -> Any:
    """Snakemake's workflow with a plan that takes some jobs for made, each a rule and its wildcards."""
    jobs = [SimpleNamespace(name=rule, wildcards=wildcards, output=list(output)) for rule, *wildcards in made]
    waiting = SimpleNamespace(name="answer", wildcards=["first", "sst2", "clean"])
    return SimpleNamespace(
        executor_plugin=SimpleNamespace(name=executor),
        execution_settings=SimpleNamespace(lock=lock),
        dag=SimpleNamespace(jobs=[*jobs, waiting], needrun=lambda job: job is waiting),
    )


@pytest.mark.parametrize(("executor", "lock"), [("local", True), ("slurm", False)])
def test_nothing_is_cancelled_where_another_may_be_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str, lock: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    squeue(monkeypatch, tmp_path / "bin", lines(tmp_path))
    slurm.end_left_behind(workflow(executor, lock))
    assert not (tmp_path / "bin" / "calls").exists()


def test_what_was_left_behind_is_cancelled_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    script = f'case "$0" in *scancel) touch {gone};; *) test -e {gone} || {{ {lines(tmp_path)}; }};; esac'
    squeue(monkeypatch, tmp_path / "bin", script.replace("\n", "; "))
    slurm.end_left_behind(workflow("slurm", True))
    assert "scancel 11 12_[1-3]" in (tmp_path / "bin" / "calls").read_text()
    said = capfd.readouterr().err
    assert "Cancelled 2 SLURM jobs" in said and "rule_answer_wildcards_first_sst2_clean" in said
    slurm.end_left_behind(workflow("slurm", True))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("made", [("agree",), ("answer", "first", "sst2", "clean")])
def test_a_job_that_has_made_its_outputs_is_left_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], made: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    script = f'case "$0" in *scancel) touch {gone};; *) test -e {gone} || {{ {lines(tmp_path)}; }};; esac'
    squeue(monkeypatch, tmp_path / "bin", script.replace("\n", "; "))
    slurm.end_left_behind(workflow("slurm", True, [made, ("answer", "second", "sst2", "clean")]))
    other = "11" if made == ("agree",) else "12_[1-3]"
    calls = (tmp_path / "bin" / "calls").read_text().splitlines()
    assert [call for call in calls if "scancel" in call] == [f"scancel {other}"]
    assert "Cancelled 1 SLURM jobs" in capfd.readouterr().err


def test_what_a_cancelled_job_took_with_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of several nodes removes those that it had made when it is cancelled; the plan has counted on them."""
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    script = f'case "$0" in *scancel) touch {gone};; *) test -e {gone} || {{ {lines(tmp_path)}; }};; esac'
    squeue(monkeypatch, tmp_path / "bin", script.replace("\n", "; "))
    with pytest.raises(StudyError, match=r"made\.parquet.*once more"):
        slurm.end_left_behind(workflow("slurm", True, [("answer", "second", "sst2", "clean")], ["made.parquet"]))


def test_jobs_that_do_not_end_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "SECONDS_TO_END", 0.0)
    squeue(monkeypatch, tmp_path / "bin", lines(tmp_path))
    with pytest.raises(StudyError, match="11, 12_"):
        slurm.cancel_jobs_of(tmp_path)


def test_no_slurm_no_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.is_running("1") is None and slurm.jobs_of(tmp_path) == {} and slurm.cancel_jobs_of(tmp_path) == []
