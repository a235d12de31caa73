"""The first lines of every node's script, which imports little because many nodes go on in another process."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cascade_equivalence.jobs import forks, one_process
from cascade_equivalence.jobs.processes import end_with_snakemake

if TYPE_CHECKING:
    from cascade_equivalence.stages.study import Study


@contextmanager
def node(job: Any) -> Iterator["Study"]:
    """Run the body of a node's script; see :func:`.work.at_work`.

    In the process that the job's nodes share, or in a fork of the run's server, where that is asked for.

    Args:
        job: The ``snakemake`` object of the script.

    Yields:
        The study that the node belongs to.
    """
    if not one_process.inside:
        end_with_snakemake()
    try:
        if (status := _elsewhere(job)) is not None:
            os._exit(status)
    except KeyboardInterrupt:
        # Who typed Ctrl-C need not read where this process waited; what it waited for ends with it.
        os._exit(128 + signal.SIGINT)
    from cascade_equivalence.jobs.work import at_work

    with at_work(job) as study:
        yield study


def _elsewhere(job: Any) -> int | None:
    """Exit status of the node if it ran in another process."""
    if one_process.inside:
        return None
    if one_process.wanted(job):
        return one_process.run(job)
    return forks.run() if forks.wanted(job.threads) else None
