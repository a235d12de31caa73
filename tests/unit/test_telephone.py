"""Recorded announcements: packages are checked, unpacked and decoded, and nothing in them is taken on trust."""

import csv
import gzip
import io
import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech import telephone
from cascade_equivalence.speech.telephone import announcements, fetch_telephone
from cascade_equivalence.speech.waveform import SAMPLING_RATE, decode_flac

WORDS = """; Core Sounds

conf-full: The conference is full, please try  again later...
conf-short: Conference.
confbridge-there: ...to leave the conference press one
vm-said: You have five new messages: two are urgent.
vm-beep: [a beep that lasts for one second]
vm-unheard: This one has no sound at all.
vm-long: This one is longer than anybody hears.
agent-in: That agent is already logged on here.
"""


def package(path: Path, files: dict[str, bytes]) -> tuple[str, str]:
    """A Debian package with some files; its name and hash."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    whole = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", data.getvalue())):
        whole += f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode() + content
        whole += b"\n" * (len(content) % 2)
    path.write_bytes(whole)
    return path.name, sha256(whole).hexdigest()


def g722(seconds: float, pitch: float) -> bytes:
    wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE)
    command = ["ffmpeg", "-loglevel", "error", "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-", "-f", "g722", "-"]
    sound = (wave * 2**15).astype("<i2").tobytes()
    return subprocess.run(command, input=sound, capture_output=True, check=True).stdout


def test_announcements_are_those_that_say_something_of_known_things() -> None:
    assert announcements(WORDS) == {
        "conf-full": ("The conference is full, please try again later", "conference"),
        "confbridge-there": ("to leave the conference press one", "conference"),
        "vm-said": ("You have five new messages: two are urgent.", "voicemail"),
        "vm-unheard": ("This one has no sound at all.", "voicemail"),
        "vm-long": ("This one is longer than anybody hears.", "voicemail"),
    }


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg decodes the announcements")
def test_packages_become_items_and_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telephone, "fetch_url", lambda url, cache, secure: cache / url.rpartition("/")[2])
    folder = "usr/share/asterisk/sounds/en"
    sounds = {"conf-full": 1.5, "confbridge-there": 0.7, "vm-said": 2.0, "vm-long": 25.0, "agent-in": 1.0}
    files = {f"{folder}/{name}.g722": g722(seconds, 440.0) for name, seconds in sounds.items()}
    words = {"usr/share/doc/a/core-sounds-en.txt.gz": gzip.compress(WORDS.encode()), "usr/share/doc/a/copyright": b"CC"}
    monkeypatch.setattr(telephone, "TEXTS", package(tmp_path / "words.deb", words))
    monkeypatch.setattr(telephone, "SOUNDS", package(tmp_path / "sounds.deb", files))

    assert fetch_telephone(tmp_path / "out", tmp_path) == 3
    rows = list(csv.DictReader((tmp_path / "out/items.csv").open()))
    assert [(row["id"], row["label"]) for row in rows] == [
        ("conf-full", "conference"),
        ("confbridge-there", "conference"),
        ("vm-said", "voicemail"),
    ]
    assert (tmp_path / "out/LICENCE.txt").read_text() == "CC"
    recordings = tmp_path / "out/recordings/telephone"
    assert sorted(path.stem for path in recordings.iterdir()) == [row["id"] for row in rows]
    for row in rows:
        wave = decode_flac((recordings / f"{row['id']}.flac").read_bytes())
        assert wave.size / SAMPLING_RATE == pytest.approx(sounds[row["id"]], abs=0.02)
        spectrum = np.abs(np.fft.rfft(wave))
        assert spectrum.argmax() * SAMPLING_RATE / wave.size == pytest.approx(440, abs=5)

    (tmp_path / "sounds.deb").write_bytes(b"another file")
    with pytest.raises(StudyError, match=r"sounds\.deb"):
        fetch_telephone(tmp_path / "out", tmp_path)


def test_what_is_no_package_is_told(tmp_path: Path) -> None:
    for content in (b"", b"!<arch>\n", b"PK\x03\x04" + bytes(100)):
        (tmp_path / "a.deb").write_bytes(content)
        with pytest.raises(StudyError, match=r"a\.deb"):
            list(telephone._files(tmp_path / "a.deb"))
