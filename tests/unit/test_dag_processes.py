"""A process whose Snakemake is gone ends: at once, or in order where it knows how to."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
from cascade_equivalence.dag.processes import end_with
from cascade_equivalence.models.api.ending import ended_by_exceptions

with ended_by_exceptions() if sys.argv[3] == "in order" else nullcontext():
    end_with(int(sys.argv[1]))
    try:
        Path(sys.argv[2], "started").touch()
        time.sleep(60)
    finally:
        Path(sys.argv[2], "kept").touch()
"""


@pytest.mark.parametrize("how", ["in order", "at once"])
def test_a_process_without_its_snakemake_ends(tmp_path: Path, how: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(owner.pid), str(tmp_path), how])
    try:
        until = time.monotonic() + 30
        while not (tmp_path / "started").exists() and time.monotonic() < until:
            time.sleep(0.05)
        owner.kill()
        owner.wait()
        assert child.wait(30) != 0
    finally:
        owner.kill()
        child.kill()
    assert (tmp_path / "kept").exists() == (how == "in order")
