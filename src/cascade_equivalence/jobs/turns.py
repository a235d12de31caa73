"""Nodes that share a job on a cluster take turns: the job has the memory and the GPU of one of them.

Snakemake starts as many as there are processors, which may be all of the machine where SLURM binds no job to its own.
Kept because 42 jobs then do the work of 822 in the paper's matrix (``docs/cluster.md``), none with more memory than one
node. Outside of SLURM, and for nodes that declare no ``in_turn``, nothing of it runs. Open it when a profile groups
nodes (``groups`` in ``profiles/slurm``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cascade_equivalence.jobs.slurm import this_job
from cascade_equivalence.locked import locked

IN_TURN = "in_turn"
"""Resource of the nodes that do."""


@contextmanager
def turn_of(job: Any, folder: Path) -> Iterator[None]:
    """Wait until no other node of this SLURM job is at work; a node outside of one, or that asks for no turn, does not.

    Args:
        job: The ``snakemake`` object of the script.
        folder: Where the jobs' locks are.
    """
    number = this_job()
    if number is None or job.resources.get(IN_TURN) is None:
        yield
        return
    with locked(folder / number):
        yield
