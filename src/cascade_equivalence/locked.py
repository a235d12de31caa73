"""Small files that several jobs read and write at once, each under a file lock."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cascade_equivalence.errors import StudyError


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading and appending while no other process or thread has it open this way.

    Args:
        path: The file; it and its folder are made where they are missing.

    Yields:
        The file, at its beginning.

    Raises:
        StudyError: The file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise StudyError(
                f"{path} cannot be locked ({error.strerror}): put `results` on a file system that has locks"
            ) from error
        file.seek(0)
        yield file
