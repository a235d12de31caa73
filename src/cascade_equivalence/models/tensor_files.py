"""Safetensors files that are the same bytes for the same tensors.

The library writes the keys of a file's metadata in an order that changes from process to process. A hash of such a file
would tell two equal models apart, and with it every answer that is stored under that hash.
"""

import json
from pathlib import Path

LENGTH = 8  # bytes of the header's length, little-endian


def order_metadata(path: Path) -> None:
    """Put the metadata of a safetensors file in the order of its keys; tensors and their places stay.

    Args:
        path: A file that the library has just written, under a name that nobody reads yet.

    Raises:
        ValueError: The header is not as the library writes it.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        header = json.loads(file.read(length))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        # As compact as the library's; what is left over is filled with spaces, as there.
        ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(ordered) > length:
            raise ValueError(f"the header of {path} would become longer by being ordered")
        file.seek(LENGTH)
        file.write(ordered.ljust(length))
