"""States of one layer on disk: a safetensors file that is written as it comes, and the index of its rows.

A file holds one tensor ``states`` (frames, width); frames of an utterance stand together, utterances in the order of
the index. It is streamed, so that the memory it takes does not grow with the number of utterances.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError, safe_open

from cascade_equivalence.errors import StudyError

DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
HEADER = 1024
"""Bytes kept free for the header, which is known when the last frame is."""
ROWS_AT_ONCE = 16_384

INDEX = {
    "utterance": pl.Int64,
    "task": pl.String,
    "id": pl.String,
    "voice": pl.String,
    "start": pl.Int64,
    "frames": pl.Int64,
    "audio_start": pl.Int64,
    "audio_frames": pl.Int64,
}
"""Columns of an index: row of the utterances table, what it is, its first row and its rows in the states, and which of
these (counted from its first) are sound."""


class StatesWriter:
    """Writes one layer's states as they come; the file appears complete or not at all.

    Args:
        path: The safetensors file.
        width: Width of a state.
        dtype: Arithmetic of the states.
        about: What the file's metadata says.
    """

    def __init__(self, path: Path, width: int, dtype: torch.dtype, about: Mapping[str, str]) -> None:
        self.path, self.width, self.dtype, self.about = path, width, dtype, dict(about)
        self.rows = 0
        self._part = path.with_name(f"{path.name}.part")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("wb")
        self._file.write(b" " * HEADER)
        return self

    def add(self, states: torch.Tensor) -> None:
        """Append states (frames, width)."""
        assert self._file is not None and states.shape[1] == self.width
        self._file.write(states.detach().to("cpu", self.dtype).contiguous().view(torch.uint8).numpy().data)
        self.rows += len(states)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        with self._file as file:
            if kind is None:
                size = self.rows * self.width * self.dtype.itemsize
                tensor = {"dtype": DTYPES[self.dtype], "shape": [self.rows, self.width], "data_offsets": [0, size]}
                header = json.dumps({"__metadata__": self.about, "states": tensor}).encode()
                assert len(header) <= HEADER - 8
                file.seek(0)
                file.write((HEADER - 8).to_bytes(8, "little") + header.ljust(HEADER - 8))
        if kind is None:
            self._part.replace(self.path)
        else:
            self._part.unlink()


class States:
    """States of one layer, read from disk as they are needed.

    Args:
        path: The safetensors file.

    Raises:
        StudyError: It is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: Any = safe_open(path, "pt").__enter__()
            self._slice = self._file.get_slice("states")
        except (SafetensorError, OSError) as error:
            raise StudyError(f"{path} cannot be read ({error}): remove it and run again") from error
        self.rows, self.width = self._slice.get_shape()
        self.about: dict[str, str] = self._file.metadata() or {}

    def part(self, start: int, stop: int) -> torch.Tensor:
        """States (stop - start, width) in the arithmetic they are stored in."""
        states: torch.Tensor = self._slice[start:stop]
        return states

    def chunks(self, rows: int = ROWS_AT_ONCE) -> Iterator[tuple[int, torch.Tensor]]:
        """First row and states (at most ``rows``, width) of each part, in order."""
        for start in range(0, self.rows, rows):
            yield start, self.part(start, min(start + rows, self.rows))


def read_index(path: Path, *states: States) -> pl.DataFrame:
    """Read an index and check that it is that of some states.

    Raises:
        StudyError: It does not fit the states.
    """
    index = pl.read_parquet(path)
    frames = int(index["frames"].sum())
    for layer in states:
        if layer.rows != frames:
            raise StudyError(f"{path} counts {frames} frames, its states have {layer.rows}: capture them again")
    return index


def frame_owner(index: pl.DataFrame) -> np.ndarray:
    """Place in the index (frames,) of the utterance that each frame belongs to."""
    return np.repeat(np.arange(index.height), index["frames"].to_numpy())


def pooled(states: States, index: pl.DataFrame) -> np.ndarray:
    """Mean state of each utterance (utterances, width), float64 (the pooling of utterance-level probes)."""
    means = np.zeros((index.height, states.width))
    for place, (start, frames) in enumerate(index.select("start", "frames").iter_rows()):
        means[place] = states.part(start, start + frames).double().mean(0).numpy()
    return means
