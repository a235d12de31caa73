"""MUSAN: a small archive of its layout, good and bad; an address that is cut, changed, or refused."""

import hashlib
import io
import json
import tarfile
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile

from cascade_equivalence.config.speech import MusanSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.babble import file_talkers, load_talker
from cascade_equivalence.tasks.sources import http as http_module
from cascade_equivalence.tasks.sources.http import ATTEMPTS, fetch_url
from cascade_equivalence.tasks.sources.musan import MANIFEST, MusanRecord, fetch_musan, unpack_musan

SPEECH = ["speech-librivox-0000.wav", "speech-librivox-0001.wav", "speech-us-gov-0000.wav"]
MUSIC = ["music-fma-0000.wav", "music-jamendo-0000.wav"]
NOISE = ["noise-free-sound-0000.wav"]


def wav(seed: int, seconds: float = 0.5) -> bytes:
    sound = io.BytesIO()
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * 16_000))
    soundfile.write(sound, samples, 16_000, format="WAV", subtype="PCM_16")
    return sound.getvalue()


def folder_of(name: str) -> str:
    """Where MUSAN keeps a file: speech-us-gov-0000.wav in musan/speech/us-gov."""
    kind, _, rest = name.partition("-")
    return f"musan/{kind}/{rest.rpartition('-')[0]}/{name}"


def layout() -> dict[str, bytes]:
    """The archive's files: sounds, and the texts beside them."""
    files = {"musan/README": b"A corpus of music, speech and noise"}
    for n, name in enumerate([*SPEECH, *MUSIC, *NOISE]):
        folder = folder_of(name).rpartition("/")[0]
        files |= {f"{folder}/{text}": text.encode() for text in ("LICENSE", "README", "ANNOTATIONS")}
        files[folder_of(name)] = wav(n)
    return files


def pack(path: Path, files: dict[str, bytes], *further: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in further:
            archive.addfile(member)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return pack(tmp_path / "musan.tar.gz", layout())


def fetched(archive: Path, **hashes: str) -> Path:
    record = archive.parent / "sets" / "archive.json"
    fetch_musan(MusanSource(archive=str(archive), **hashes), record, archive.parent / "cache")
    return record


def test_each_part_has_its_own_sounds_and_nothing_else(archive: Path) -> None:
    record = fetched(archive)
    for part, names in (("speech", SPEECH), ("music", MUSIC)):
        folder = record.parent / part
        manifest = json.loads(unpack_musan(record, part, folder).read_text())
        assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [MANIFEST, *names]
        assert list(manifest["files"]) == names and "CC BY" in manifest["licence"]
        for name in names:
            assert (folder / name).read_bytes() == layout()[folder_of(name)]
            assert manifest["files"][name] == {
                "sha256": hashlib.sha256(layout()[folder_of(name)]).hexdigest(),
                "seconds": 0.5,
            }


def test_unpacked_speech_is_a_pool_of_talkers(archive: Path) -> None:
    folder = fetched(archive).parent / "speech"
    unpack_musan(fetched(archive), "speech", folder)
    talkers = file_talkers(folder)
    assert [talker.id for talker in talkers] == SPEECH
    assert {load_talker(talker, np.random.default_rng(0)).size for talker in talkers} == {8000}


def test_without_the_outer_folder_it_is_the_same(tmp_path: Path) -> None:
    bare = {name.removeprefix("musan/"): content for name, content in layout().items()}
    record = fetched(pack(tmp_path / "bare.tar.gz", bare))
    folder = tmp_path / "speech"
    assert list(json.loads(unpack_musan(record, "speech", folder).read_text())["files"]) == SPEECH


def test_what_is_there_is_kept_and_what_is_cut_short_is_made_again(archive: Path) -> None:
    record = fetched(archive)
    folder = record.parent / "speech"
    unpack_musan(record, "speech", folder)
    (folder / MANIFEST).unlink()
    kept = folder / SPEECH[0]
    (folder / SPEECH[1]).write_bytes(b"RIFF")
    (folder / SPEECH[2]).unlink()
    before = kept.stat().st_mtime_ns
    unpack_musan(record, "speech", folder)
    assert kept.stat().st_mtime_ns == before
    assert [(folder / name).read_bytes() for name in SPEECH] == [layout()[folder_of(name)] for name in SPEECH]


def test_another_archive_takes_the_place_of_the_first(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "speech"
    unpack_musan(fetched(archive), "speech", folder)
    fewer = {name: content for name, content in layout().items() if SPEECH[0] not in name}
    unpack_musan(fetched(pack(tmp_path / "other.tar.gz", fewer)), "speech", folder)
    assert sorted(path.name for path in folder.glob("*.wav")) == SPEECH[1:]


def test_recordings_of_the_users_own_are_left_alone(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.wav").write_bytes(wav(0))
    with pytest.raises(StudyError, match="1 recordings that were not unpacked from MUSAN"):
        unpack_musan(fetched(archive), "speech", folder)
    assert (folder / "mine.wav").read_bytes() == wav(0)


def test_files_that_some_systems_add_are_passed_over(tmp_path: Path) -> None:
    junk = {"musan/speech/librivox/._speech-librivox-0000.wav": b"\0\5\26\7", "musan/.DS_Store": b"x"}
    record = fetched(pack(tmp_path / "junk.tar.gz", junk | layout()))
    assert list(json.loads(unpack_musan(record, "speech", tmp_path / "s").read_text())["files"]) == SPEECH


@pytest.mark.parametrize(
    ("files", "members", "message"),
    [
        ({"../evil.wav": wav(9)}, [], "leads out of the folder"),
        ({"/tmp/evil.wav": wav(9)}, [], "leads out of the folder"),
        ({"musan/speech/../../../evil.wav": wav(9)}, [], "leads out of the folder"),
        ({}, [special("musan/speech/librivox/evil.wav", tarfile.SYMTYPE, "/etc/passwd")], "is a link or a device"),
        ({}, [special("musan/speech/librivox/evil.wav", tarfile.LNKTYPE, "musan/README")], "is a link or a device"),
        ({}, [special("musan/speech/librivox/evil.wav", tarfile.FIFOTYPE)], "is a link or a device"),
        ({"musan/speech/librivox/evil.wav": b"<html>not found</html>"}, [], "evil.wav cannot be read as sound"),
        ({"musan/speech/librivox/evil.wav": wav(9, 0)}, [], "evil.wav holds no sound"),
        ({"musan/speech/us-gov/speech-librivox-0000.wav": wav(9)}, [], "there twice"),
        ({"musan/speech/librivox/a;b.wav": wav(9)}, [], "is no name of its"),
    ],
)
def test_what_is_not_musans_is_refused(
    tmp_path: Path, files: dict[str, bytes], members: list[tarfile.TarInfo], message: str
) -> None:
    record = fetched(pack(tmp_path / "bad.tar.gz", layout() | files, *members))
    folder = tmp_path / "deep" / "er" / "speech"
    with pytest.raises(StudyError, match=message):
        unpack_musan(record, "speech", folder)
    assert not (folder / MANIFEST).exists()
    assert not list(tmp_path.rglob("*evil*"))


def test_an_archive_without_the_part_or_cut_short_is_refused(archive: Path, tmp_path: Path) -> None:
    silent = {name: content for name, content in layout().items() if "/music/" not in name}
    record = fetched(pack(tmp_path / "silent.tar.gz", silent))
    with pytest.raises(StudyError, match=r"it has no .wav files in a folder music"):
        unpack_musan(record, "music", tmp_path / "m")
    short = tmp_path / "short.tar.gz"
    short.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(StudyError, match="it is broken"):
        unpack_musan(fetched(short), "noise", tmp_path / "n")


def test_hashes_are_checked_where_they_are_given(archive: Path) -> None:
    content = archive.read_bytes()
    right = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
    }
    record = MusanRecord.model_validate_json(fetched(archive, **right).read_text())
    assert (record.path, record.bytes, record.sha256) == (archive, len(content), right["sha256"])
    for kind, digest in right.items():
        with pytest.raises(StudyError, match=f"has the {kind} {digest}, expected 0000"):
            fetched(archive, **(right | {kind: "0" * len(digest)}))
    archive.write_bytes(content + b"more")
    with pytest.raises(StudyError, match="is gone or has changed"):
        unpack_musan(archive.parent / "sets" / "archive.json", "speech", archive.parent / "s")


# -- over the network --------------------------------------------------------------------------------------------------


class Shelf(ThreadingHTTPServer):
    """A stand-in for a server of files, which can fail in the ways that servers fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.tag: str | None = '"one"'
        self.ranges = True
        self.cuts: list[int] = []  # answers end after so many bytes
        self.statuses: list[int] = []  # answers that are refusals
        self.length: str | None = None  # in place of the number
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/resources/17/musan.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Shelf

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        shelf, span = self.server, self.headers.get("Range")
        shelf.asked.append(span)
        if shelf.statuses:
            self.send_error(shelf.statuses.pop(0))
            return
        start = 0
        if span and shelf.ranges and self.headers.get("If-Range") == shelf.tag:
            start = int(span.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(shelf.content) - 1}/{len(shelf.content)}")
        if shelf.tag:
            self.send_header("ETag", shelf.tag)
        self.send_header("Content-Length", shelf.length or str(len(shelf.content) - start))
        self.end_headers()
        body = shelf.content[start:]
        self.wfile.write(body[: shelf.cuts.pop(0)] if shelf.cuts else body)


@pytest.fixture
def shelf(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(http_module, "_CHUNK", 1000)
    server = Shelf()
    server.content = archive.read_bytes()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(shelf: Shelf, tmp_path: Path, pauses: list[float] | None = None) -> bytes:
    sleep = (pauses if pauses is not None else []).append
    return fetch_url(shelf.url, tmp_path / "cache", sleep=sleep).read_bytes()


def test_a_file_is_fetched_once(shelf: Shelf, tmp_path: Path) -> None:
    assert fetch(shelf, tmp_path) == fetch(shelf, tmp_path) == shelf.content
    assert shelf.asked == [None]
    assert {path.suffix for path in (tmp_path / "cache/sets").iterdir()} == {".gz", ".lock"}


def test_an_archive_is_fetched_checked_and_unpacked(shelf: Shelf, tmp_path: Path) -> None:
    record = tmp_path / "sets" / "archive.json"
    source = MusanSource(archive=shelf.url, sha256=hashlib.sha256(shelf.content).hexdigest())
    fetch_musan(source, record, tmp_path / "cache")
    assert list(json.loads(unpack_musan(record, "music", tmp_path / "music").read_text())["files"]) == MUSIC
    wrong = MusanSource(archive=shelf.url, sha256="0" * 64)
    with pytest.raises(StudyError, match="it is not the archive that was meant"):
        fetch_musan(wrong, record, tmp_path / "cache")


def test_a_cut_connection_is_taken_up_where_it_ended(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts = [3000, 2000, 1]
    pauses: list[float] = []
    assert fetch(shelf, tmp_path, pauses) == shelf.content
    assert shelf.asked == [None, "bytes=3000-", "bytes=5000-", "bytes=5001-"]
    assert len(pauses) == 3


def test_a_stopped_job_goes_on_with_what_has_arrived(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.cuts = [4000, *[0] * ATTEMPTS]
    with pytest.raises(StudyError, match="4000 bytes have arrived and are kept; run again"):
        fetch(shelf, tmp_path)
    shelf.asked.clear()
    assert fetch(shelf, tmp_path) == shelf.content
    assert shelf.asked == ["bytes=4000-"]


@pytest.mark.parametrize("length", ["many", "-5", "1e3", "9" * 30])
def test_a_length_that_is_no_number_is_left_aside(shelf: Shelf, tmp_path: Path, length: str) -> None:
    shelf.length = length
    try:
        assert fetch(shelf, tmp_path) == shelf.content
    except StudyError as error:
        assert shelf.url in str(error)


def test_a_malformed_proxy_is_told_at_once_without_its_password(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://me:hunter22@host:80x")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "elsewhere")
    # The library reads the environment once, when it first connects.
    monkeypatch.setattr(urllib.request, "_opener", None)
    pauses: list[float] = []
    with pytest.raises(StudyError) as refused:
        fetch(shelf, tmp_path, pauses)
    assert "hunter22" not in str(refused.value) and not pauses


def test_a_file_that_changed_meanwhile_begins_anew(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts = [4000, *[0] * ATTEMPTS]
    with pytest.raises(StudyError, match="run again"):
        fetch(shelf, tmp_path)
    shelf.content, shelf.tag = shelf.content[::-1], '"two"'
    assert fetch(shelf, tmp_path) == shelf.content


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_mark_of_the_version_nothing_is_joined(shelf: Shelf, tmp_path: Path, tag: str | None) -> None:
    shelf.tag, shelf.cuts = tag, [4000]
    assert fetch(shelf, tmp_path) == shelf.content
    assert shelf.asked == [None, None]


def test_a_server_without_ranges_sends_all_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.ranges, shelf.cuts = False, [4000]
    assert fetch(shelf, tmp_path) == shelf.content
    assert shelf.asked == [None, "bytes=4000-"]


def test_a_job_killed_after_the_last_byte_asks_for_nothing(shelf: Shelf, tmp_path: Path) -> None:
    whole = fetch_url(shelf.url, tmp_path / "cache")
    part = whole.rename(whole.with_name(f"{whole.name}.part"))
    part.with_name(f"{part.name}.json").write_text(json.dumps({"validator": '"one"', "total": len(shelf.content)}))
    shelf.asked.clear()
    assert fetch(shelf, tmp_path) == shelf.content and shelf.asked == []


def test_faults_that_pass_are_waited_for_and_others_are_told(shelf: Shelf, tmp_path: Path) -> None:
    shelf.statuses = [503, 429, 500]
    pauses: list[float] = []
    assert fetch(shelf, tmp_path, pauses) == shelf.content and pauses == sorted(pauses) and len(pauses) == 3
    shelf.statuses = [404]
    with pytest.raises(StudyError, match=r"404.*can be named by its path instead"):
        fetch_url(f"{shelf.url}x", tmp_path / "cache", sleep=pauses.append)
    assert len(pauses) == 3
    with pytest.raises(StudyError, match="cannot be fetched"):
        fetch_url("http://127.0.0.1:9/musan.tar.gz", tmp_path / "cache", sleep=pauses.append)


def test_a_disk_that_is_too_small_is_told_before_the_download(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "_SPARE", 1 << 60)
    with pytest.raises(StudyError, match="make room, or let CASCADE_EQUIVALENCE_CACHE"):
        fetch(shelf, tmp_path)
    assert not list((tmp_path / "cache/sets").glob("*.part"))
