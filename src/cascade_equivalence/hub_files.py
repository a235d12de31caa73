"""Whether a file of the hub's cache is whole: for repositories of models and of data sets."""

import hashlib
from pathlib import Path

from cascade_equivalence.files import sha256

_SHA256_DIGITS, _GIT_SHA1_DIGITS = 64, 40


def is_intact(path: Path) -> bool:
    """Compare a cached file with the hash in its name.

    The hub's cache names a blob by its etag: the SHA-256 of a large file, the git blob hash (SHA-1 over a short header
    and the content) of a small one. `huggingface_hub` itself compares lengths only.
    """
    etag = (path.parent / path.readlink()).name if path.is_symlink() else ""
    if len(etag) == _SHA256_DIGITS:
        return sha256(path) == etag
    if len(etag) == _GIT_SHA1_DIGITS:
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == etag
    return True
