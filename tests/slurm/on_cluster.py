"""Snakemake run on a cluster as a user of one runs it."""

import sys
from pathlib import Path

from checkout import Checkout
from cluster import Cluster

BESIDE = Path(sys.prefix, "slurm")
"""Where ``make slurm`` installs the executor: beside the environment, which all other runs of Snakemake use."""
PROFILE = (
    *("--profile", "profiles/slurm"),
    # One machine: nothing is shared, nobody else waits for its scheduler.
    *("--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "2"),
    *("--set-threads", "transcribe=1", "answer=1"),
)


class Site(Checkout):
    """A copy of the project on the cluster's shared file system.

    Args:
        root: The folder to make.
        cluster: The cluster.
        cache: Folder of downloads.
    """

    def __init__(self, root: Path, cluster: Cluster, cache: Path | None = None) -> None:
        super().__init__(root, cache)
        self.warm = False
        self.cluster = cluster

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a login node, with the executor in reach."""
        return super().environment | self.cluster.environment | {"PYTHONPATH": str(BESIDE), "OMP_NUM_THREADS": "1"}
