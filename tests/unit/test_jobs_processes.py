"""A process whose Snakemake is gone ends: at once, or in order where it knows how to."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
from cascade_equivalence.jobs.processes import end_with
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


@pytest.mark.parametrize("before", ["", "import numba"])
def test_what_is_compiled_lies_in_a_folder_of_the_process(before: str, tmp_path: Path) -> None:
    """Also where numba was imported before, as in a fork."""
    (tmp_path / "quick.py").write_text("import numba\n@numba.njit(cache=True)\ndef double(x):\n    return 2 * x\n")
    body = f"""
{before}
import os, pathlib
from cascade_equivalence.jobs.processes import compile_anew
compile_anew()
from quick import double
assert double(3) == 6
own = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
print(len([*own.rglob("*.nbc")]), own)
"""
    # As for a user: nothing says where to keep what is compiled.
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[2] / "src"), str(tmp_path)])
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", body],
        env=environment | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    count, own = done.stdout.split()
    assert int(count) == 1 and not [*tmp_path.rglob("*.nbc")]
    assert not Path(own).exists()
