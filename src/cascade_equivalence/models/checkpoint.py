"""Files of a checkpoint folder: safetensors headers, JSON configs, and which weight files belong together."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
LONGEST_REASON = 300
"""Letters of what a library says of a checkpoint."""
SHORT_OF_MEMORY = ("MemoryError", "OutOfMemoryError")
"""What is raised where memory is short, by Python and by torch: no fault of a checkpoint."""


@dataclass(frozen=True)
class Header:
    """What a safetensors file says of itself.

    Attributes:
        shapes: Tensor name to shape.
        metadata: Free text by key.
    """

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Say in one line which folder the transformers library does not open as a text LLM, and why.

    Raises:
        StudyError: It does not.
    """
    try:
        yield
    except Exception as error:  # what the library raises on a broken checkpoint is its own affair
        if isinstance(error, StudyError) or type(error).__name__ in SHORT_OF_MEMORY:
            raise
        reason = " ".join(str(error).split("\n\n")[0].split())[:LONGEST_REASON] or type(error).__name__
        raise StudyError(
            f"{folder} cannot be opened as a text LLM: {reason}; take a checkpoint of the transformers library and "
            "resolve the model again"
        ) from error


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file and check that the file is whole.

    Raises:
        StudyError: The file is not safetensors, or is cut off.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size:
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            content: dict[str, Any] = json.loads(stream.read(length))
        metadata = {str(key): str(value) for key, value in content.pop("__metadata__", {}).items()}
        shapes = {name: tuple(int(side) for side in entry["shape"]) for name, entry in content.items()}
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in content.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise StudyError(f"{path} is not a safetensors file ({error}); fetch it again") from error
    if end != size:
        raise StudyError(f"{path} has {size} bytes, its header says {end}: it is cut off or damaged; fetch it again")
    return Header(shapes, metadata)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        StudyError: The file is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StudyError(f"{path} is not JSON ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path} is not a JSON object; fetch it again")
    return content


def weight_files(files: dict[str, Path], name: str) -> list[Path]:
    """The safetensors files that make up a model in the layout of the transformers library.

    Args:
        files: Name in the model folder to file.
        name: The model, for messages.

    Returns:
        The single file, or the parts that the index names.

    Raises:
        StudyError: There are none, or the index names one that is missing.
    """
    if SINGLE in files:
        return [files[SINGLE]]
    if INDEX not in files:
        raise StudyError(f"{name}: no {SINGLE} and no {INDEX} among {', '.join(sorted(files)) or 'no files'}")
    parts = sorted(set(read_json(files[INDEX]).get("weight_map", {}).values()))
    if missing := [part for part in parts if part not in files]:
        raise StudyError(f"{name}: {INDEX} names {', '.join(missing)}, which the source does not give")
    if not parts:
        raise StudyError(f"{name}: {INDEX} names no files")
    return [files[part] for part in parts]
