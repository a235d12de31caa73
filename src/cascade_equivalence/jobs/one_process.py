"""Nodes of a job that run one after the other share one process, which has the libraries and their model open.

Of a group of answers (``groups`` in ``profiles/slurm``) each node would start a Python of its own and bring the weights
to the GPU again. What CUDA holds cannot be forked, so it is no server of forks that helps here: with the resource
``one_process: 1`` the first node starts a process (:mod:`.worker`) that runs the scripts itself, one at a time, keeps
the model that was opened last (:mod:`.last_opened`), and is put back to what it was after each (:mod:`.as_before`). The
node's own process passes it its script, folder, environment and standard streams, waits, and ends with the script's
exit status. A node that fails takes that process with it: the next begins in a fresh one. Whatever stands in the way,
the node runs by itself as it would have.

Snakemake's benchmark files then hold a node's time, its wait included, but not its memory. Kept because loading would
be a seventh of the answers' GPU time at the paper's size (``docs/results/what-it-takes.md``). Without the resource
nothing of it runs.
"""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cascade_equivalence.jobs.processes import STARTED_BY
from cascade_equivalence.jobs.reach import LOST, ask, private_folder, server_in

ONE_PROCESS = "one_process"
"""Resource of the nodes that share a process."""
SERVER = "cascade_equivalence.jobs.worker"
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
    """Run this process's script in the one that the nodes of its Snakemake share, which is started if there is none.

    Args:
        job: The ``snakemake`` object of the script.
        imports: Modules that a new process imports; what it would import itself by default.

    Returns:
        The script's exit status, 1 if that process was killed meanwhile; None if there is none that could do it, and
        this process has to.
    """
    owner = os.environ[STARTED_BY]
    words = [owner, str(job.threads), json.dumps(imports)]
    # They are read when libraries are imported, which is before a node could set them.
    environment = {"OMP_NUM_THREADS": str(job.threads), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with suppress(OSError, TimeoutError):
        if (folder := private_folder(f"{owner}-in-turn")) is None:
            return None
        for _ in range(ATTEMPTS):
            with server_in(folder, SERVER, words, environment) as server:
                status = ask(server, threads=job.threads, prefix=sys.prefix)
            if status == LOST:
                _tell(job)
                return 1
            if status is not None:
                return status
    return None


def _tell(job: Any) -> None:
    """Say in the node's log why it has ended, which nobody else could."""
    line = "Error: the process that ran this node has ended without a word: it was killed, perhaps for its memory"
    print(line, file=sys.stderr)
    with suppress(OSError), Path(job.log[0]).open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")
