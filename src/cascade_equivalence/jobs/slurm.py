"""Asks SLURM whether a job still runs, and cancels jobs that a killed Snakemake has left.

Kept because such jobs would write beside those of the next Snakemake, which knows nothing of them
(``tests/slurm/test_faults.py``). Without SLURM's commands, and with any other executor, nothing of it runs.
"""

import getpass
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError, some_of

JOB = "SLURM_JOB_ID"
OVER = "Invalid job id"
"""What squeue says of a number that SLURM has forgotten."""
PATIENCE = 20.0  # seconds for one of SLURM's commands
SECONDS_TO_END = 120.0
"""How long cancelled jobs may take to end: SLURM gives them 30 s to do it by themselves."""
OURS = ("rule_", "group_")
"""What the executor's comment on a job begins with."""


def is_running(job: str) -> bool | None:
    """Whether a SLURM job is not over; None where SLURM cannot be asked."""
    found = _ask("squeue", "--noheader", "--jobs", job, "--format", "%T")
    if found is None:
        return None
    if found.returncode:
        return False if OVER in found.stderr else None
    return bool(found.stdout.strip())


def jobs_of(folder: Path) -> dict[str, str]:
    """Jobs that a Snakemake has sent off from a folder and that are not over.

    Args:
        folder: The folder in which Snakemake ran.

    Returns:
        SLURM's number of each, and which rule with which wildcards it is. Nothing where SLURM cannot be asked.
    """
    # A folder's name may hold anything but a line's end, so it comes last.
    found = _ask("squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%k|%Z")
    lines = found.stdout.splitlines() if found and not found.returncode else []
    jobs = (line.strip().split("|", 2) for line in lines)
    return {
        number: comment
        for number, comment, place in jobs
        if comment.startswith(OURS) and Path(place).resolve() == folder.resolve()
    }


def end_left_behind(workflow: Any) -> None:
    """Cancel what a Snakemake that was killed has left running, and say so; where another may be at work, nothing.

    Args:
        workflow: Snakemake's own, before it has sent anything off. With ``--nolock`` it does not have the folder to
            itself, so that jobs in the queue may be another's.

    Raises:
        StudyError: They do not end, or took files with them that the plan counts on.
    """
    if workflow.executor_plugin.name == "slurm" and workflow.execution_settings.lock:
        cancelled = cancel_jobs_of(Path(), lambda: taken_for_made(workflow.dag))
        if cancelled:
            print(
                f"Cancelled {len(cancelled)} SLURM jobs of a run that was stopped; what they have answered is kept:",
                *cancelled,
                sep="\n  ",
                file=sys.stderr,
            )
            # A job of several nodes takes those that were made already with it.
            if gone := [str(file) for file in made_files(workflow.dag) if not Path(file).exists()]:
                raise StudyError(
                    f"they took {some_of(gone)} with them, which this run counted on: start it once more with the same "
                    "command"
                )


def taken_for_made(dag: Any) -> set[str]:
    """The executor's comments on the jobs that a plan takes for made: their outputs are there."""
    made = [(job.name, "_".join(job.wildcards).replace("/", "_")) for job in dag.jobs if not dag.needrun(job)]
    return {f"rule_{rule}" + (f"_wildcards_{values}" if values else "") for rule, values in made}


def made_files(dag: Any) -> list[Any]:
    """Files that a plan takes for made."""
    return [file for job in dag.jobs if not dag.needrun(job) for file in job.output]


def cancel_jobs_of(folder: Path, made: Callable[[], Collection[str]] = tuple) -> list[str]:
    """Cancel the jobs that were sent off from a folder, and wait for their end.

    A job that has made its outputs and is about to end would take them with it if it were cancelled, and the plan,
    which has seen them, would go on without them. It is waited for.

    Args:
        folder: The folder.
        made: Which rule with which wildcards has its outputs; asked only if there are jobs.

    Returns:
        Which rule with which wildcards each was.

    Raises:
        StudyError: They do not end.
    """
    left = jobs_of(folder)
    if not left:
        return []
    finished = made()
    cancelled = {job: comment for job, comment in left.items() if comment not in finished}
    if cancelled:
        _ask("scancel", *cancelled)
    end = time.monotonic() + SECONDS_TO_END
    while still := jobs_of(folder).keys() & left.keys():
        if time.monotonic() > end:
            raise StudyError(
                f"SLURM jobs {', '.join(sorted(still))} of a run that was stopped do not end: look at them with "
                "squeue, and run again when they are gone"
            )
        time.sleep(1.0)
    return sorted(cancelled.values())


def _ask(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Run one of SLURM's commands; None where there is none, or where it does not answer."""
    if shutil.which(command[0]) is None:
        return None
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None


def this_job(environ: Mapping[str, str] = os.environ) -> str | None:
    """Number of the SLURM job that this process belongs to."""
    return environ.get(JOB)
