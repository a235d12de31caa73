"""Nodes of a job that run one after the other share one process, which has the libraries and their model open.

Of a group of answers (``groups`` in ``profiles/slurm``) each node would start a Python of its own and bring the weights
to the GPU again. What CUDA holds cannot be forked, so it is no server of forks that helps here: with the resource
``one_process: 1`` the first node starts a process (:mod:`.worker`) that runs the scripts itself, one at a time, keeps
the model that was opened last (:mod:`.last_opened`), and is put back to what it was after each (:mod:`.as_before`). The
node's own process passes it its script, folder, environment and standard streams, waits, and ends with the script's
exit status. A node that fails takes that process with it: the next begins in a fresh one. Whatever stands in the way,
the node runs by itself as it would have.

In SLURM each node of a job is a step, and what a step has started ends with it: there the job's own Snakemake, above
the steps, starts the process (:func:`begin_above_steps`), and after a node that failed nobody starts another: those
that follow wait until its memory is free, and run by themselves.

Snakemake's benchmark files then hold a node's time, its wait included, but not its memory. Kept because loading would
be a seventh of the answers' GPU time at the paper's size (``docs/results/what-it-takes.md``). Without the resource
nothing of it runs.
"""

import atexit
import fcntl
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from cascade_equivalence.jobs.processes import SECONDS_TO_END, STARTED_BY
from cascade_equivalence.jobs.reach import ALIVE, LOST, ask, connect, private_folder, server_in
from cascade_equivalence.jobs.slurm import JOB

ONE_PROCESS = "one_process"
"""Resource of the nodes that share a process."""
SERVER = "cascade_equivalence.jobs.worker"
STEP = "SLURM_STEP_ID"
"""In the environment of what runs in a step of a SLURM job."""
ATTEMPTS = 5
"""A process may end between two nodes, as the former has failed or wants other threads: then another is started."""

inside = False
"""Whether this is the process that nodes share."""
spent = 0.0
"""Processor seconds of this process that were other nodes'."""


def wanted(job: Any) -> bool:
    """Whether a node should run in the process that it shares: asked for, in a run, and not there already.

    Args:
        job: The ``snakemake`` object of the script.
    """
    return not inside and bool(job.resources.get(ONE_PROCESS)) and STARTED_BY in os.environ


def run(job: Any, imports: Sequence[str] | None = None) -> int | None:
    """Run this process's script in the one that nodes share; but for a step of SLURM's it is started if there is none.

    Args:
        job: The ``snakemake`` object of the script.
        imports: Modules that a new process imports; what it would import itself by default.

    Returns:
        The script's exit status, 1 if that process was killed meanwhile; None if there is none that could do it, and
        this process has to.
    """
    with suppress(OSError, TimeoutError):
        status = _in_step(job) if STEP in os.environ else _under(os.environ[STARTED_BY], job, imports)
        if status == LOST:
            _tell(job)
            return 1
        return status
    return None


def _in_step(job: Any) -> int | None:
    """The script's exit status from the process that the SLURM job has for its steps, if it has one."""
    if (folder := private_folder(_of_job(), make=False)) is None:
        return None
    status = None
    with suppress(OSError), connect(folder) as server:
        status = ask(server, threads=job.threads, prefix=sys.prefix)
    if status is None:
        _until_gone(folder)
    return status


def _until_gone(folder: Path) -> None:
    """Wait for the end of a process that takes no nodes any more: what it holds of memory and GPU is needed."""
    deadline = time.monotonic() + SECONDS_TO_END
    with suppress(FileNotFoundError), (folder / ALIVE).open() as alive:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                return fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
            time.sleep(0.05)


def _under(owner: str, job: Any, imports: Sequence[str] | None) -> int | None:
    """The script's exit status from the process of a Snakemake, which is started if there is none."""
    if (folder := private_folder(f"{owner}-in-turn")) is None:
        return None
    for _ in range(ATTEMPTS):
        with _served(folder, owner, job.threads, imports) as server:
            status = ask(server, threads=job.threads, prefix=sys.prefix)
        if status is not None:
            return status
    return None


def _served(folder: Path, owner: str, threads: int, imports: Sequence[str] | None) -> socket.socket:
    # They are read when libraries are imported, which is before a node could set them.
    environment = {"OMP_NUM_THREADS": str(threads), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return server_in(folder, SERVER, [owner, str(threads), json.dumps(imports)], environment)


def _of_job() -> str:
    return f"slurm{os.environ[JOB]}-in-turn"


def begin_above_steps(workflow: Any) -> None:
    """Start the process that the nodes of a SLURM job share, if this is the job's own Snakemake and they ask for one.

    Args:
        workflow: Snakemake's workflow.
    """
    if workflow.is_main_process or JOB not in os.environ or STEP in os.environ:
        return
    resources = workflow.resource_settings.overwrite_resources
    if not any(ONE_PROCESS in resources.get(rule, ()) for rule in _rules(sys.argv)):
        return
    with suppress(OSError, TimeoutError, ValueError):
        if (folder := private_folder(_of_job())) is not None:
            # The process does it itself, but not after a node that failed.
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            _served(folder, str(os.getpid()), int(os.environ.get("SLURM_CPUS_PER_TASK", "1")), None).close()


def _rules(words: Sequence[str]) -> list[str]:
    """The rules that a command line of Snakemake's own allows; it has no plan yet that could be asked."""
    after = words[words.index("--allowed-rules") + 1 :] if "--allowed-rules" in words else []
    return list(takewhile(lambda word: not word.startswith("-"), after))


def _tell(job: Any) -> None:
    """Say in the node's log why it has ended, which nobody else could."""
    line = "Error: the process that ran this node has ended without a word: it was killed, perhaps for its memory"
    print(line, file=sys.stderr)
    with suppress(OSError), Path(job.log[0]).open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")
