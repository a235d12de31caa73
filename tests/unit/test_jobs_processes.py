"""A process whose Snakemake is gone ends: at once, or in order where it knows how to."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cascade_equivalence.jobs import compiled

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
print(len([*own.rglob("*.nbc")]), own, sum(double.stats.cache_hits.values()))
"""
    # As for a user: nothing says where to keep what is compiled.
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[2] / "src"), str(tmp_path)])
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": paths, "CASCADE_EQUIVALENCE_CACHE": str(tmp_path / "cache")}
    hits = []
    # The second begins with what the first has compiled; the third cannot trust what it finds, and compiles anew.
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", body], env=environment, capture_output=True, text=True, check=True)
        count, own, found = done.stdout.split()
        hits.append(found)
        assert int(count) == 1 and not [*tmp_path.rglob("*.nbc")]
        assert not Path(own).exists()
        (archive,) = (tmp_path / "cache").rglob("*.zip")
        if len(hits) == 2:
            archive.write_bytes(b"PK" + archive.read_bytes()[:100])
    assert hits == ["0", "1", "0"]


def test_an_archive_that_others_may_write_is_not_trusted(tmp_path: Path) -> None:
    made, kept = tmp_path / "made", tmp_path / "kept.zip"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "code").write_bytes(b"code")
    compiled.put_back(kept, made, {})
    for rights, names in ((0o600, {"deep/code"}), (0o622, set())):
        kept.chmod(rights)
        folder = tmp_path / f"{rights}"
        folder.mkdir()
        compiled.bring(kept, folder)
        assert compiled.contents(folder).keys() == names


def test_an_archive_is_written_only_if_there_is_more(tmp_path: Path) -> None:
    made, kept = tmp_path / "made", tmp_path / "kept.zip"
    made.mkdir()
    compiled.put_back(kept, made, {})
    assert not kept.exists()
    (made / "code").write_bytes(b"code")
    compiled.put_back(kept, made, compiled.contents(made))
    assert not kept.exists()
    compiled.put_back(kept, made, {})
    assert kept.exists()
