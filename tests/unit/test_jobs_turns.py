"""Nodes that share a cluster's job run one at a time; others do not wait for each other."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from cascade_equivalence.jobs.slurm import JOB
from cascade_equivalence.jobs.turns import turn_of

GROUPED, ALONE = SimpleNamespace(resources={"in_turn": 1}), SimpleNamespace(resources={})
ENOUGH = 0.3  # seconds in which a node that may begin has begun


def begins_beside(first: SimpleNamespace, second: SimpleNamespace, folder: Path) -> bool:
    """Whether the second node begins while the first is at work."""
    began = threading.Event()

    def work() -> None:
        with turn_of(second, folder):
            began.set()

    thread = threading.Thread(target=work)
    with turn_of(first, folder):
        thread.start()
        beside = began.wait(ENOUGH)
    thread.join()
    assert began.is_set(), "it never began"
    return beside


def test_nodes_of_one_job_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB, "17")
    assert not begins_beside(GROUPED, GROUPED, tmp_path)
    assert begins_beside(GROUPED, ALONE, tmp_path) and begins_beside(ALONE, GROUPED, tmp_path)


def test_nobody_waits_outside_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JOB, raising=False)
    assert begins_beside(GROUPED, GROUPED, tmp_path)
    assert not list(tmp_path.iterdir())


def test_jobs_do_not_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB, "17")
    with turn_of(GROUPED, tmp_path):
        monkeypatch.setenv(JOB, "18")
        with turn_of(GROUPED, tmp_path):
            pass
