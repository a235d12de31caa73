"""The first lines of every node's script, which imports little because most nodes of small models go on in a fork."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cascade_equivalence.jobs import forks
from cascade_equivalence.jobs.processes import end_with_snakemake

if TYPE_CHECKING:
    from cascade_equivalence.stages.study import Study


@contextmanager
def node(job: Any) -> Iterator["Study"]:
    """Run the body of a node's script, in a fork of the run's server where there is one; see :func:`.work.at_work`.

    Args:
        job: The ``snakemake`` object of the script.

    Yields:
        The study that the node belongs to.
    """
    end_with_snakemake()
    try:
        if forks.wanted(job.threads) and (status := forks.run()) is not None:
            os._exit(status)
    except KeyboardInterrupt:
        # Who typed Ctrl-C need not read where this process waited; the fork ends with it.
        os._exit(128 + signal.SIGINT)
    from cascade_equivalence.jobs.work import at_work

    with at_work(job) as study:
        yield study
