"""Write files so that each is complete or absent, also after a power cut; hash them."""

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cascade_equivalence.errors import is_full_disk


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name in its folder and rename it when it is complete.

    Args:
        path: The file to make; its folder is made too.

    Yields:
        The temporary name to write to. After an error it is removed and ``path`` stays as it was.

    Raises:
        OSError: The disk is full; it names the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with naming_full_disk(path.parent):
            yield part
            _keep(part)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def others_may_write(path: Path) -> bool:
    """Whether a file that is there belongs to another user, or others have the right to change it.

    Raises:
        OSError: It is not there.
    """
    status = path.stat()
    return status.st_uid != os.getuid() or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


@contextmanager
def naming_full_disk(folder: Path) -> Iterator[None]:
    """Name the folder when its disk is full: the error of a write alone does not say where.

    Args:
        folder: Where the block writes.

    Raises:
        OSError: The disk is full.
    """
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        raise


def _keep(part: Path) -> None:
    """Wait until the bytes are on disk: a name that is there before them would be an empty file after a power cut."""
    with part.open("rb") as file:
        os.fsync(file.fileno())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file whole or not at all, and return its path."""
    with replacing(path) as part:
        part.write_bytes(data)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8 whole or not at all, and return its path."""
    return write_bytes(path, text.encode())


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
