"""The order in which names are drawn: it depends on the names and a seed alone, on every machine."""

import hashlib


def hash_rank(seed: int, *parts: str) -> bytes:
    """A number drawn for some names, as bytes to sort by; it depends on the names and the seed alone."""
    return hashlib.sha256("\0".join([str(seed), *parts]).encode()).digest()
