"""SHA-256 of files; those of large files are kept, and not computed again."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256, write_text
from cascade_equivalence.models.sources.folder import fetch
from cascade_equivalence.provenance.record import HASHES, RECORDS

LARGE = 1 << 20
"""Bytes; a smaller file is read faster than what is remembered of it is found."""


class FileHashes:
    """Hashes of files; those of large ones are remembered until the file changes.

    Args:
        folder: Where they are remembered, a small file each, so that nodes side by side do not wait for each other.
        within: Nothing is remembered as long as this folder is not there: a dry run leaves no trace.
    """

    def __init__(self, folder: Path, within: Path | None = None) -> None:
        self._folder = folder
        self._within = within

    def of(self, path: Path) -> tuple[str, int]:
        """Hash a file.

        A file that was not touched (same length, same times of its content and of its entry, same entry) is not read
        again.

        Returns:
            SHA-256 in hexadecimal digits, and the length in bytes.
        """
        status = path.stat()
        if status.st_size < LARGE:
            return sha256(path), status.st_size
        seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        memory = self._folder / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]}.json"
        # Damaged or missing, it is made again.
        with suppress(OSError, ValueError, KeyError, TypeError):
            remembered = json.loads(memory.read_bytes())
            if remembered["seen"] == seen:
                return str(remembered["sha256"]), status.st_size
        found = sha256(path)
        if self._within is not None and not self._within.is_dir():
            return found, status.st_size
        # In a folder that may only be read nothing is remembered.
        with suppress(OSError):
            write_text(memory, json.dumps({"seen": seen, "sha256": found}) + "\n")
        return found, status.st_size

    def of_set(self, files: Mapping[str, Path]) -> str:
        """One hash for a set of files, by their names and contents; read again when one of them was touched.

        Returns:
            16 hexadecimal digits.
        """
        status = {name: path.stat() for name, path in sorted(files.items())}
        seen = [[name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for name, s in status.items()]
        memory = self._folder / f"set-{hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:32]}"
        with suppress(OSError):
            return memory.read_text(encoding="utf-8")
        lines = "".join(f"{name}\t{sha256(files[name])}\n" for name in status)
        found = hashlib.sha256(lines.encode()).hexdigest()[:16]
        if self._within is None or self._within.is_dir():
            with suppress(OSError):
                write_text(memory, found)
        return found


def contents_of(files: Iterable[Path], hashes: FileHashes | None = None) -> dict[str, str | None]:
    """Hashes of files by their names: what a node depends on, wherever the files lie.

    Args:
        files: The files; their names differ.
        hashes: Where hashes of large files are remembered; without it each file is read.

    Returns:
        SHA-256 in hexadecimal digits by name; None for a file that is not there, which the node that reads it tells.
    """
    found: dict[str, str | None] = {}
    for path in sorted(files):
        try:
            found[path.name] = hashes.of(path)[0] if hashes else sha256(path)
        except OSError:
            found[path.name] = None
    return found


def state_of(source: PathSource, gguf: str | None, models: Path) -> str | None:
    """Tell one state of a model folder from another, by the names and contents of the files that are taken.

    Args:
        source: The folder.
        gguf: The GGUF file that is taken, if any.
        models: Folder of resolved models; hashes of large files are remembered in it once it is there.

    Returns:
        16 hexadecimal digits; None where the folder holds no model yet: whoever resolves it says so.
    """
    try:
        files = fetch(source, gguf).files
    except StudyError:
        return None
    hashes = FileHashes(models / RECORDS / HASHES, within=models)
    lines = "".join(f"{name}\t{hashes.of(path)[0]}\n" for name, path in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
