"""Clips inside archives, read one by one: no name in an archive ever becomes a path on disk."""

import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from cascade_equivalence.errors import StudyError

MAX_CLIP_BYTES = 1 << 29
"""Five minutes of broadcast video have a quarter of it."""
MAX_TOTAL_BYTES = 1 << 36
"""What an archive may unpack to; MELD's has 11 GB."""
MAX_MEMBERS = 200_000

_DRIVE = re.compile(r"^[A-Za-z]:")
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError)
_ENCRYPTED = 1

_Open = Callable[[], IO[bytes]]
_Members = Iterator[tuple[str, int, _Open]]


@dataclass(frozen=True)
class ArchivedFile:
    """One file of an archive.

    Attributes:
        name: Its file name without folders; of a clip also without its ending.
        size: Its length in bytes.
        archive: The archive.
        open: Opens its content.
    """

    name: str
    size: int
    archive: Path
    open: _Open

    def copy_to(self, path: Path) -> None:
        """Write its bytes to a file; before the next clip is asked for.

        Raises:
            StudyError: If the archive is broken here.
        """
        try:
            with self.open() as stream, path.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
        except _BROKEN as error:
            raise _broken(self.archive, error) from error


def read_clip_files(
    archive: Path, folder: str, inner: str | None = None, suffix: str = ".mp4"
) -> Iterator[ArchivedFile]:
    """Read the clips of one folder of an archive, in the archive's order and without unpacking it.

    Args:
        archive: A zip file or a tar file, compressed or not.
        folder: Name of the folder that holds the clips itself, wherever it lies.
        inner: Name of a tar file inside the tar file that has the folder.
        suffix: Ending of the clips' names.

    Yields:
        The clips.

    Raises:
        StudyError: If the archive is broken, has no such clips, holds what a data set does not (links, devices, names
            that lead out of the folder they are unpacked to), or is larger than a data set's may be.
    """

    def wanted(path: PurePosixPath) -> bool:
        return path.parent.name == folder and path.suffix.lower() == suffix

    for clip in read_files(archive, wanted, f"{suffix} files in a folder {folder}", inner):
        yield replace(clip, name=clip.name[: -len(suffix)])


def read_files(
    archive: Path, wanted: Callable[[PurePosixPath], bool], what: str, inner: str | None = None
) -> Iterator[ArchivedFile]:
    """Read some files of an archive, in the archive's order and without unpacking it.

    Args:
        archive: A zip file or a tar file, compressed or not.
        wanted: Whether a file is to be read, by its path in the archive.
        what: What these files are, for the message if there are none.
        inner: Name of a tar file inside the tar file that has the files.

    Yields:
        The files.

    Raises:
        StudyError: As :func:`read_clip_files`.
    """
    try:
        found = 0
        with _members(archive, inner) as members:
            for name, size, content in members:
                path = PurePosixPath(name)
                if not wanted(path):
                    continue
                if size > MAX_CLIP_BYTES:
                    raise _refused(archive, f"{name!r} has {size} bytes, more than a clip may have ({MAX_CLIP_BYTES})")
                found += 1
                yield ArchivedFile(path.name, size, archive, content)
        if not found:
            raise _refused(archive, f"it has no {what}")
    except _BROKEN as error:
        raise _broken(archive, error) from error


@contextmanager
def _members(archive: Path, inner: str | None) -> Iterator[_Members]:
    """Names, sizes and contents of an archive's files; a content only while its member is at hand."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield _zip_members(zipped, archive)
        return
    # A stream: a compressed file cannot be entered in the middle, and MELD's is too large to unpack for one folder.
    with tarfile.open(archive, "r|*") as outer:
        if inner is None:
            yield _tar_members(outer, archive)
            return
        with _inner(outer, inner, archive) as members:
            yield _tar_members(members, archive)


@contextmanager
def _inner(outer: tarfile.TarFile, name: str, archive: Path) -> Iterator[tarfile.TarFile]:
    passed = []
    for path, _, content in _tar_members(outer, archive):
        if PurePosixPath(path).name == name:
            with tarfile.open(fileobj=content(), mode="r|*") as members:
                yield members
            return
        passed.append(path)
    raise _refused(archive, f"it has no {name}; it has {', '.join(passed[:9]) or 'nothing'}")


def _tar_members(members: tarfile.TarFile, archive: Path) -> _Members:
    total = 0
    for count, member in enumerate(members, start=1):
        total += member.size
        _check(member.name, count, total, archive)
        if member.isdir():
            continue
        if not member.isreg():
            raise _refused(archive, f"{member.name!r} is a link or a device")
        yield member.name, member.size, partial(_open_member, members, member)


def _open_member(members: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = members.extractfile(member)
    assert stream is not None  # it is a plain file
    return stream


def _zip_members(members: zipfile.ZipFile, archive: Path) -> _Members:
    total = 0
    for count, member in enumerate(members.infolist(), start=1):
        total += member.file_size
        _check(member.filename, count, total, archive)
        if member.is_dir():
            continue
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise _refused(archive, f"{member.filename!r} is a link or a device")
        if member.flag_bits & _ENCRYPTED:
            raise _refused(archive, f"{member.filename!r} is encrypted")
        yield member.filename, member.file_size, partial(members.open, member)


def _check(name: str, count: int, total: int, archive: Path) -> None:
    """Refuse what no published archive has, although nothing is unpacked under the names it gives."""
    path = PurePosixPath(name)
    if path.is_absolute() or _DRIVE.match(name) or ".." in path.parts or "\\" in name or "\0" in name:
        raise _refused(archive, f"{name!r} leads out of the folder it would be unpacked to")
    if count > MAX_MEMBERS:
        raise _refused(archive, f"it has more than {MAX_MEMBERS} members")
    if total > MAX_TOTAL_BYTES:
        raise _refused(archive, f"it unpacks to more than {MAX_TOTAL_BYTES} bytes")


def _refused(archive: Path, reason: str) -> StudyError:
    return StudyError(f"{archive} is not the published archive: {reason}.")


def _broken(archive: Path, error: Exception) -> StudyError:
    return _refused(archive, f"it is broken ({type(error).__name__}: {error}); delete it and fetch it again")
