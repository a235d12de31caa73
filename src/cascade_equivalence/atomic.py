"""Files that are there whole or not at all, also after a power cut."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name in its folder and rename it when it is complete.

    Args:
        path: The file to make; its folder is made too.

    Yields:
        The temporary name to write to. After an error it is removed and ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield part
        _keep(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
