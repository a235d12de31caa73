"""Locks: written and read, resolved from an index, installed by pip, and for whom."""

import hashlib
import http.server
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from itertools import chain, combinations
from pathlib import Path

import pytest
from packaging.markers import Marker

from cascade_equivalence.errors import StudyError
from cascade_equivalence.pins.families import read_families, read_pins
from cascade_equivalence.pins.lock import Lock, Pin, read_lock
from cascade_equivalence.pins.platforms import hashes_for, lacking, short_marker, supported
from cascade_equivalence.pins.resolve import Resolver

PLATFORMS = supported("3.11")
LINUX, ARM, MAC = PLATFORMS


def wheel(folder: Path, name: str, version: str, *needs: str, tag: str = "py3-none-any") -> str:
    """Make a wheel of an empty module; its hash."""
    path = folder / f"{name}-{version}-{tag}.whl"
    record = f"{name}-{version}.dist-info"
    described = "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{record}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{described}")
        file.writestr(f"{record}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{record}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("needed", chain.from_iterable(combinations(PLATFORMS, count) for count in (1, 2, 3)))
def test_a_short_marker_is_met_where_it_should_be(needed):
    marker = short_marker(needed, PLATFORMS)
    assert [platform for platform in PLATFORMS if platform.needs(marker)] == list(needed)
    if marker:
        Marker(marker)


def test_files_are_taken_that_some_platform_can_install():
    wheels = {
        f"some-1.0-{tag}.whl": tag
        for tag in (
            "cp311-cp311-manylinux_2_28_x86_64",
            "cp39-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64",
            "cp311-cp311-macosx_11_0_arm64",
            "cp312-cp312-manylinux_2_28_x86_64",
            "cp311-cp311-win_amd64",
            "cp311-cp311-musllinux_1_2_x86_64",
            "cp311-cp311t-manylinux_2_28_x86_64",
            "pp311-pypy311_pp73-manylinux_2_28_x86_64",
        )
    }
    assert hashes_for(PLATFORMS, wheels, "source") == set(list(wheels.values())[:3])
    assert hashes_for([LINUX], wheels, "source") == {"cp311-cp311-manylinux_2_28_x86_64"}


def test_a_source_is_taken_only_where_a_platform_has_no_wheel():
    wheels = {"some-1.0-cp311-cp311-manylinux_2_28_x86_64.whl": "wheel"}
    assert hashes_for([LINUX], wheels, "source") == {"wheel"}
    assert hashes_for([LINUX, MAC], wheels, "source") == {"wheel", "source"}
    assert lacking([LINUX, MAC], wheels, "source") == []
    assert lacking([LINUX, MAC], wheels, None) == [MAC]


def test_a_lock_is_read_as_it_was_written(tmp_path: Path):
    pins = (Pin("a", "1.0+cpu", ("0a", "1b")), Pin("b-c", "2.0", ("2c",), "sys_platform == 'linux'"))
    lock = Lock("What it is for", "digest", pins)
    path = tmp_path / "some.txt"
    path.write_text(lock.text(), encoding="utf-8")
    assert read_lock(path) == lock


@pytest.mark.parametrize(
    ("old", "new"),
    [("a==1.0", "a>=1.0"), ("# Made from", "# From"), (" \\\n    --hash=sha256:0a", ""), ("b==", "\nb==")],
)
def test_a_lock_that_was_changed_by_hand_is_refused(tmp_path: Path, old: str, new: str):
    text = Lock("", "digest", (Pin("a", "1.0", ("0a",)), Pin("b", "2.0", ("2c",)))).text()
    assert old in text
    (tmp_path / "some.txt").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(StudyError, match="make locks"):
        read_lock(tmp_path / "some.txt")


def test_a_lock_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(StudyError, match=r"some\.txt is missing"):
        read_lock(tmp_path / "some.txt")


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "numpy==2.0 # newest", "Numpy==2.0\nnumpy==2.1"])
def test_what_is_no_pin_is_named_with_its_line(tmp_path: Path, line: str):
    (tmp_path / "some.txt").write_text(f"# Packages\n{line}\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"some\.txt, line [23]"):
        read_pins(tmp_path / "some.txt")


def families(folder: Path, *, version: str = "1.0", build: str = "1.0+cpu", package: str = "torch") -> None:
    (folder / "run.txt").write_text(f"torch=={version}\n", encoding="utf-8")
    text = f"""
conda: {{ python: 3.11.14, pip: "25.3" }}
environments: {{ models: {{ title: Models, packages: [{package}] }} }}
cpu: {{ torch: {{ version: {build}, sha256: "00" }} }}
"""
    (folder / "families.yaml").write_text(text, encoding="utf-8")


def test_a_change_of_a_pin_makes_the_locks_outdated(tmp_path: Path):
    families(tmp_path)
    before = read_families(tmp_path).digest("run.txt")
    (tmp_path / "run.txt").write_text("# A remark\ntorch==1.0\n", encoding="utf-8")
    assert read_families(tmp_path).digest("run.txt") == before
    families(tmp_path, version="1.1", build="1.1+cpu")
    assert read_families(tmp_path).digest("run.txt") != before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"package": "numpy"}, "models names numpy"), ({"build": "1.1+cpu"}, "no build of run.txt's 1.0")],
)
def test_what_no_file_pins_is_refused(tmp_path: Path, wrong: dict[str, str], words: str):
    families(tmp_path, **wrong)
    with pytest.raises(StudyError, match=words):
        read_families(tmp_path)


@pytest.mark.parametrize("right", [True, False])
def test_pip_installs_only_files_that_the_lock_knows(tmp_path: Path, right: bool):
    digest = wheel(tmp_path, "some", "1.0")
    pin = Pin("some", "1.0", (digest if right else "0" * 64,))
    (tmp_path / "lock.txt").write_text(Lock("", "", (pin,)).text(), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-index"]
    command += ["--find-links", str(tmp_path), "--target", str(tmp_path / "there"), "--requirement"]
    done = subprocess.run([*command, str(tmp_path / "lock.txt")], check=False, capture_output=True, text=True)
    assert (done.returncode == 0) == right == (tmp_path / "there" / "some.py").exists(), done.stderr


class Index(http.server.SimpleHTTPRequestHandler):
    """An index of packages (PEP 503) from a folder with a folder for each."""

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "index"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Index, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}")
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    yield folder
    server.shutdown()
    server.server_close()


def publish(index: Path, name: str, version: str, *needs: str, tag: str = "py3-none-any") -> str:
    folder = index / name
    folder.mkdir(exist_ok=True)
    digest = wheel(folder, name, version, *needs, tag=tag)
    page = folder / "index.html"
    link = f'<a href="{name}-{version}-{tag}.whl#sha256={digest}">{name}-{version}-{tag}.whl</a>\n'
    page.write_text((page.read_text() if page.exists() else "") + link)
    return digest


def test_everything_that_is_needed_is_locked_with_its_hash_and_marker(index: Path):
    top = publish(index, "top", "1.0", "low>=1", "mac ; sys_platform == 'darwin'", "win ; sys_platform == 'win32'")
    low = publish(index, "low", "1.5")
    mac = publish(index, "mac", "2.0")
    publish(index, "win", "3.0")
    resolver = Resolver(PLATFORMS, {})
    resolver.agree({"top": "1.0"})
    expected = [
        Pin("low", "1.5", (low,)),
        Pin("mac", "2.0", (mac,), MAC.marker.partition(" and ")[0]),
        Pin("top", "1.0", (top,)),
    ]
    assert resolver.closure({"top": "1.0"}) == expected


def test_versions_stay_until_an_upgrade_is_asked_for(index: Path):
    publish(index, "top", "1.0", "low")
    for version in ("1.0", "2.0"):
        publish(index, "low", version)
    kept, newest = Resolver(PLATFORMS, {"low": "1.0"}), Resolver(PLATFORMS, {})
    for resolver in (kept, newest):
        resolver.agree({"top": "1.0"})
    assert {pin.name: pin.version for pin in kept.closure({"top": "1.0"})} == {"top": "1.0", "low": "1.0"}
    assert {pin.name: pin.version for pin in newest.closure({"top": "1.0"})} == {"top": "1.0", "low": "2.0"}


def test_what_is_resolved_together_has_one_version_everywhere(index: Path):
    publish(index, "one", "1.0", "low")
    publish(index, "other", "1.0", "low<2")
    for version in ("1.0", "2.0"):
        publish(index, "low", version)
    resolver = Resolver(PLATFORMS, {})
    resolver.agree({"one": "1.0", "other": "1.0"})
    assert [pin.version for pin in resolver.closure({"one": "1.0"}) if pin.name == "low"] == ["1.0"]


def test_pins_that_do_not_fit_together_are_named(index: Path):
    publish(index, "one", "1.0", "low>=2")
    publish(index, "low", "1.0")
    with pytest.raises(StudyError, match="low"):
        Resolver(PLATFORMS, {}).agree({"one": "1.0"})


def test_a_package_without_a_file_for_a_platform_is_named(index: Path):
    publish(index, "some", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64")
    resolver = Resolver(PLATFORMS, {})
    resolver.agree({"some": "1.0"})
    with pytest.raises(StudyError, match=r"some 1\.0 has no file for .*aarch64.* or .*arm64"):
        resolver.closure({"some": "1.0"})
