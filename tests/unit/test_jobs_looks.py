"""Snakemake's scheduler is woken when it must be, and by one timer however many jobs have ended."""

import sys
import threading
import time

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from cascade_equivalence.jobs.looks import REEVALUATE, look_once_a_time

DELAY = 0.2


def scheduler_with(once: bool) -> type[JobScheduler]:
    """A copy of Snakemake's class, so that no other test meets what is changed."""
    copied = type("Copied", (JobScheduler,), {REEVALUATE: vars(JobScheduler)[REEVALUATE]})
    if once:
        look_once_a_time(copied)
    return copied


def woken(kind: type[JobScheduler], ends: int, looks: int) -> int:
    """How often a scheduler looks at jobs that wait while so many jobs end, until ``looks`` delays have passed."""
    scheduler = kind.__new__(kind)
    scheduler._open_jobs = threading.Semaphore(ends)
    until, count = time.monotonic() + DELAY * (looks + 0.5), 0
    while scheduler._open_jobs.acquire(timeout=max(0.0, until - time.monotonic())):
        count += 1
        getattr(scheduler, REEVALUATE)(DELAY)
    return count


def test_snakemake_has_the_method_that_is_replaced() -> None:
    """If this fails, look whether Snakemake keeps one timer now: then ``jobs.looks`` can go."""
    assert callable(getattr(JobScheduler, REEVALUATE, None))
    # Each job that has ended is looked for again at every delay.
    assert woken(scheduler_with(False), ends=5, looks=2) >= 3 * 5


def test_one_look_is_due_however_many_jobs_have_ended() -> None:
    once = woken(scheduler_with(True), ends=20, looks=3)
    # For each that has ended, and then no more than one a delay; the last may be cut off.
    assert 20 + 1 <= once <= 20 + 2 * 3


def test_an_earlier_look_than_the_one_that_is_due_is_asked_for() -> None:
    kind = scheduler_with(True)
    scheduler = kind.__new__(kind)
    scheduler._open_jobs = threading.Semaphore(0)
    getattr(scheduler, REEVALUATE)(0.5)
    getattr(scheduler, REEVALUATE)(0.02)
    assert scheduler._open_jobs.acquire(timeout=0.4)


def test_a_scheduler_without_the_method_and_one_that_is_changed_stay_as_they_are() -> None:
    class Other:
        pass

    look_once_a_time(Other)
    assert not hasattr(Other, REEVALUATE)
    kind = scheduler_with(True)
    changed = getattr(kind, REEVALUATE)
    look_once_a_time(kind)
    assert getattr(kind, REEVALUATE) is changed


def test_a_run_goes_on_where_snakemake_has_moved_it(monkeypatch: pytest.MonkeyPatch) -> None:

    from cascade_equivalence.jobs.start import look_less_often

    monkeypatch.setitem(sys.modules, "snakemake.scheduling.job_scheduler", None)
    look_less_often()
