"""Recorded speech with its words: the announcements of a telephone exchange that Debian has as packages.

One speaker in a studio (Allison Smith), at 16 kHz, CC BY-SA 3.0: whoever hands recordings or results with them on names
her and the licence, which lie in the folder. Their names say what an announcement is about, which makes a task of them.
"""

import csv
import gzip
import io
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256, write_bytes, write_text
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.video_sound import UnreadableError, find_ffmpeg, read_sound
from cascade_equivalence.speech.waveform import Waveform, encode_flac
from cascade_equivalence.tasks.sources.http import fetch_url

POOL = "https://deb.debian.org/debian/pool/main/a/asterisk-core-sounds/"
TEXTS = ("asterisk-core-sounds-en_1.6.1-1_all.deb", "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50")
SOUNDS = (
    "asterisk-core-sounds-en-g722_1.6.1-1_all.deb",
    "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
)
"""Packages, and the SHA-256 that each must have."""
TASK = "telephone"
ABOUT = {"conf": "conference", "confbridge": "conference", "vm": "voicemail"}
"""What an announcement is about, by the first word of its file's name."""
FEWEST_WORDS, LONGEST = 5, 20.0
"""Words that an announcement has at least, and seconds that it lasts at most."""
_BYTES_A_SECOND = 8000  # G.722 at 64 kbit/s
_HEADER, _MAGIC = 60, b"!<arch>\n"
_LARGEST = 1 << 28


def fetch_telephone(folder: Path, cache: Path) -> int:
    """Fetch the announcements, and write those that a study can ask about.

    Args:
        folder: Gets ``items.csv`` (id, text, label), ``recordings/telephone/<id>.flac`` and ``LICENCE.txt``.
        cache: Folder for downloads that studies share.

    Returns:
        How many there are.

    Raises:
        StudyError: If a package cannot be had or is not the one meant, or ffmpeg, which decodes them, is missing.
    """
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"{folder} is a file: name a folder for the announcements.")
    find_ffmpeg()
    texts, sounds = (_package(name, digest, cache) for name, digest in (TEXTS, SOUNDS))
    words, licence = "", b""
    for name, content in _files(texts):
        if name.endswith("core-sounds-en.txt.gz"):
            words = gzip.decompress(content).decode(errors="replace")
        elif name.endswith("/copyright"):
            licence = content
    chosen = announcements(words)
    found: list[tuple[str, str, str]] = []
    with progress("announcements", total=len(chosen)) as advance:
        for path, content in _files(sounds):
            name = PurePosixPath(path).stem
            if path.endswith(".g722") and name in chosen:
                advance()
                if len(content) <= LONGEST * _BYTES_A_SECOND:
                    write_bytes(folder / "recordings" / TASK / f"{name}.flac", encode_flac(_decoded(name, content)))
                    found.append((name, *chosen[name]))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["id", "text", "label"])
    writer.writerows(sorted(found))
    write_bytes(folder / "LICENCE.txt", licence)
    write_text(folder / "items.csv", table.getvalue())
    return len(found)


def announcements(words: str) -> dict[str, tuple[str, str]]:
    """Announcements that a study can ask about: text and what it is about, by name.

    Args:
        words: Lines of ``name: text``; a semicolon begins a comment, brackets say what is no speech.
    """
    chosen = {}
    for line in words.splitlines():
        name, colon, text = line.partition(":")
        about = ABOUT.get(name.partition("-")[0])
        text = " ".join(text.replace("...", " ").split())
        spoken = not re.search(r"[\[\]<>()]", text) and len(re.findall(r"[A-Za-z']+", text)) >= FEWEST_WORDS
        if colon and about and spoken and not name.startswith(";"):
            chosen[name] = (text, about)
    return chosen


def _package(name: str, digest: str, cache: Path) -> Path:
    path = fetch_url(POOL + name, cache, secure=False)
    if sha256(path) != digest:
        raise StudyError(f"{path} is not the package {name} that was meant: delete it and run again.")
    return path


def _files(package: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a Debian package, by path: an `ar` archive whose member `data.tar.*` has them."""
    content = package.read_bytes()
    place = len(_MAGIC)
    while content.startswith(_MAGIC) and place + _HEADER <= len(content):
        header = content[place : place + _HEADER]
        size = int(header[48:58])
        place += _HEADER
        if header[:16].strip().startswith(b"data.tar"):
            with tarfile.open(fileobj=io.BytesIO(content[place : place + size])) as members:
                for member in members:
                    if member.isfile() and member.size <= _LARGEST and (file := members.extractfile(member)):
                        yield member.name, file.read()
            return
        place += size + size % 2
    raise StudyError(f"{package} is no Debian package: delete it and run again.")


def _decoded(name: str, content: bytes) -> Waveform:
    with tempfile.NamedTemporaryFile(suffix=".g722") as file:
        file.write(content)
        file.flush()
        try:
            return read_sound(Path(file.name), LONGEST, "g722")[0]
        except UnreadableError as error:
            raise StudyError(f"the announcement {name} cannot be decoded: {error}") from error
