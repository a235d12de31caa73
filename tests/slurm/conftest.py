"""A SLURM of the tests' own."""

import importlib.util
import os
from collections.abc import Iterator

import pytest
from cluster import Cluster, missing
from on_cluster import BESIDE

REQUIRED = "CASCADE_EQUIVALENCE_REQUIRE_SLURM"
PLUGIN = "snakemake_executor_plugin_slurm"


def reason() -> str | None:
    """Why these tests cannot run here, if they cannot."""
    if importlib.util.find_spec(PLUGIN) is None and not (BESIDE / PLUGIN).is_dir():
        return "the executor is not installed: make slurm"
    return missing()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes with two fake GPUs each; the tests skip where there can be none, unless that is required."""
    if (why := reason()) is not None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, but {why}")
        pytest.skip(f"no SLURM: {why}")
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as found:
        yield found
