"""Locks: written and read, resolved from an index, installed by pip, and for whom."""

import hashlib
import http.server
import io
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker

from cascade_equivalence.errors import StudyError
from cascade_equivalence.pins.families import read_families, read_pins
from cascade_equivalence.pins.lock import Lock, Pin, read_lock
from cascade_equivalence.pins.resolve import LINUX, PLATFORMS, Platform, resolve

MAC = ("darwin", "arm64")


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
    wheel(folder, name, version, *needs, tag=tag)
    return linked(folder, folder / f"{name}-{version}-{tag}.whl")


def linked(folder: Path, file: Path) -> str:
    """Name a file on its package's page; its hash."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with (folder / "index.html").open("a") as page:
        page.write(f'<a href="{file.name}#sha256={digest}">{file.name}</a>\n')
    return digest


def publish_source(index: Path, name: str, version: str, *, ran: Path | None = None) -> str:
    """Put a source distribution beside the wheels; one that says `ran` must be built before its needs are known."""
    folder = index / name
    folder.mkdir(exist_ok=True)
    stated = "2.1\nDynamic: requires-dist" if ran else "2.2"
    backend = f"def get_requires_for_build_wheel(*_):\n    open({str(ran)!r}, 'w').close()\n    return []\n"
    files = {
        "PKG-INFO": f"Metadata-Version: {stated}\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "made"\nbackend-path = ["."]\n',
        "made.py": backend,
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{file}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return linked(folder, path)


def found(groups: dict[str, dict[str, str]], preferred: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return resolve(groups, "3.11", preferred or {}, **more)


def versions(groups: dict[str, dict[str, str]], preferred: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    return {name: {pin.name: pin.version for pin in pins} for name, pins in found(groups, preferred).items()}


def meeting(marker: str) -> list[Platform]:
    """The platforms that meet a marker."""
    names = ("sys_platform", "platform_machine")
    return [each for each in PLATFORMS if Marker(marker).evaluate(dict(zip(names, each, strict=True)))]


def test_everything_that_is_needed_is_locked_with_its_hash_and_marker(index: Path):
    markers = {"mac": "sys_platform == 'darwin'", "win": "sys_platform == 'win32'", "py": "implementation_name != 'x'"}
    top = publish(index, "top", "1.0", "low>=1", *(f"{name} ; {marker}" for name, marker in markers.items()))
    low, mac, _, py = (publish(index, name, "2.0") for name in ("low", *markers))
    one, other, third, last = found({"a": {"top": "1.0"}})["a"]
    assert [one, third, last] == [Pin("low", "2.0", (low,)), Pin("py", "2.0", (py,)), Pin("top", "1.0", (top,))]
    assert (other.name, other.hashes, meeting(other.marker)) == ("mac", (mac,), [MAC])


def test_each_group_has_what_it_needs_and_no_more(index: Path):
    for name, *needs in (("one", "low"), ("other",), ("low",)):
        publish(index, name, "1.0", *needs)
    groups = {"a": {"one": "1.0"}, "b": {"other": "1.0"}, "c": {"other": "1.0", "one": "1.0"}}
    assert {name: set(pins) for name, pins in versions(groups).items()} == {
        "a": {"low", "one"},
        "b": {"other"},
        "c": {"low", "one", "other"},
    }


def test_versions_stay_until_an_upgrade_is_asked_for(index: Path):
    publish(index, "top", "1.0", "low")
    for version in ("1.0", "2.0"):
        publish(index, "low", version)
    assert versions({"a": {"top": "1.0"}}, {"low": "1.0"}) == {"a": {"top": "1.0", "low": "1.0"}}
    assert versions({"a": {"top": "1.0"}}) == {"a": {"top": "1.0", "low": "2.0"}}


def test_a_version_that_no_longer_fits_is_given_up(index: Path):
    publish(index, "top", "1.0", "low>=2")
    for version in ("1.0", "2.0"):
        publish(index, "low", version)
    assert versions({"a": {"top": "1.0"}}, {"low": "1.0"}) == {"a": {"top": "1.0", "low": "2.0"}}


def test_what_is_resolved_together_has_one_version_everywhere(index: Path):
    publish(index, "one", "1.0", "low")
    publish(index, "other", "1.0", "low<2")
    for version in ("1.0", "2.0"):
        publish(index, "low", version)
    assert versions({"a": {"one": "1.0"}, "b": {"other": "1.0"}})["a"]["low"] == "1.0"


def test_pins_that_do_not_fit_together_are_named(index: Path):
    publish(index, "one", "1.0", "low>=2")
    publish(index, "low", "1.0")
    with pytest.raises(StudyError, match="low"):
        found({"a": {"one": "1.0"}})


def test_a_package_without_a_file_for_a_platform_is_named(index: Path):
    digest = publish(index, "some", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64")
    with pytest.raises(StudyError, match=r"some==1\.0 has no .*(aarch64|arm64)"):
        found({"a": {"some": "1.0"}})
    assert found({"a": {"some": "1.0"}}, platforms=[LINUX])["a"] == [Pin("some", "1.0", (digest,))]


def test_a_source_is_taken_only_of_packages_that_say_so(index: Path):
    both = publish(index, "some", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64"), publish_source(index, "some", "1.0")
    pure = publish(index, "pure", "1.0")
    publish_source(index, "pure", "1.0")
    groups = {"a": {"some": "1.0", "pure": "1.0"}}
    with pytest.raises(StudyError, match=r"some(.|\n)*sources"):
        found(groups)
    pins = found(groups, sources=["Some"])["a"]
    assert pins == [Pin("pure", "1.0", (pure,)), Pin("some", "1.0", tuple(sorted(both)))]


def test_an_index_without_hashes_is_refused(index: Path):
    publish(index, "some", "1.0")
    page = index / "some" / "index.html"
    page.write_text(re.sub("#sha256=[0-9a-f]+", "", page.read_text()))
    with pytest.raises(StudyError, match="SHA-256"):
        found({"a": {"some": "1.0"}})


@pytest.mark.parametrize("named", [True, False])
def test_a_source_that_is_not_named_is_not_run(index: Path, tmp_path: Path, named: bool):
    publish_source(index, "some", "1.0", ran=tmp_path / "ran")
    with pytest.raises(StudyError, match="some"):
        found({"a": {"some": "1.0"}}, sources=["some"] if named else [])
    assert (tmp_path / "ran").exists() == named
