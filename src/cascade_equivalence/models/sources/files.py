"""The files that a source of weights gives, and which of them are safe to read."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cascade_equivalence.config.model_files import ADVICE, name_problem, runs_code
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.progress import progress

_CHUNK = 1 << 24
_SHOW_PROGRESS_FROM = 1 << 30


@dataclass(frozen=True)
class Fetched:
    """Files of a source, before any conversion.

    Attributes:
        files: Name in the model folder to where the file lies now.
        commit: The commit a hub revision stood for; None for the other sources.
    """

    files: dict[str, Path]
    commit: str | None = None


def refuse_code(names: Iterable[str], where: str) -> None:
    """Stop when code or a pickle is asked for.

    Raises:
        StudyError: Some name belongs to code, or to a format that can run code when it is loaded.
    """
    if found := sorted(name for name in names if runs_code(name)):
        raise StudyError(f"{where}: {', '.join(found)} can run code when loaded and is refused; {ADVICE}")


def check_name(name: str, where: str) -> str:
    """Return a file name that stays inside the model folder and does not clash with the manifest.

    Raises:
        StudyError: It cannot be the name of a file in a model folder.
    """
    if (problem := name_problem(name)) is not None:
        raise StudyError(f"{where}: {name!r} cannot be the name of a file in a model folder: {problem}")
    return name


def hash_files(files: dict[str, Path], label: str) -> dict[str, tuple[str, int]]:
    """Hash several files, with a progress display when there is much to read.

    Args:
        files: Name to file.
        label: What the progress display calls the work.

    Returns:
        Name to (SHA-256, bytes), sorted by name.
    """
    sizes = {name: path.stat().st_size for name, path in sorted(files.items())}
    if sum(sizes.values()) < _SHOW_PROGRESS_FROM:
        return {name: (sha256(files[name]), size) for name, size in sizes.items()}
    hashes = {}
    with progress(f"{label} (MiB)", total=sum(sizes.values()) >> 20) as advance:
        for name, size in sizes.items():
            digest = hashlib.sha256()
            with files[name].open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    advance(len(chunk) >> 20)
            hashes[name] = (digest.hexdigest(), size)
    return hashes
