"""Clips: what was spoken and how it sounds, in Parquet files that the Hugging Face `datasets` library plays.

A clip from a file does not hold its sound: ``clip.flac`` reads it, so a node that hears a batch at a time takes as much
memory for 5,000 clips as for 50.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.identity import Names, header
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, decode_flac

SPEECH_FORMAT = 1
"""Raised when the same voice and text would give other bytes (resampler, rounding, codec settings)."""

ROWS_A_GROUP = 8
"""Clips that are read together: one is asked for at a time, in the order of their lengths."""


class SoundFile:
    """The sound of a clip file, a group of rows at a time; the last one is kept.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parquet: pq.ParquetFile | None = None
        self._group = -1
        self._sounds: list[bytes] = []
        # Services are asked by several threads.
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file by itself."""
        return SoundFile, (self.path,)

    @property
    def parquet(self) -> pq.ParquetFile:
        """The open file. It stays the one that was opened when another takes its name."""
        if self._parquet is None:
            self._parquet = pq.ParquetFile(self.path, memory_map=False)
        return self._parquet

    def read(self, group: int, row: int) -> bytes:
        """FLAC of a row of a group."""
        with self._lock:
            if group != self._group:
                self._sounds = [sound.as_py() for sound in self.sounds(group)]
                self._group = group
            return self._sounds[row]

    def sounds(self, group: int) -> pa.Array:
        """FLAC of a group's rows, shape (rows,)."""
        table = self.parquet.read_row_group(group, columns=["audio.bytes"], use_threads=False)
        return table["audio"].combine_chunks().field("bytes")


@dataclass(frozen=True)
class Kept:
    """Where the FLAC of a clip lies: the file, and how to read it out of there."""

    path: Path
    read: Callable[[], bytes]


class KeptSound:
    """The field of a clip that holds its FLAC, or says where it lies; reading it gives the bytes either way."""

    def __get__(self, clip: "Clip", owner: type | None = None) -> bytes:
        """FLAC of a clip.

        Raises:
            StudyError: Its file is gone, or holds something else by now.
        """
        held: bytes | Kept = clip.__dict__["flac"]
        if not isinstance(held, Kept):
            return held
        with suppress(OSError, ValueError, IndexError):  # Arrow's errors are of these kinds
            found = held.read()
            if hash_audio(found) == clip.sha256:
                return found
        raise StudyError(
            f"{held.path} no longer holds the sound of {clip.id} in voice {clip.voice}: remove it and run again"
        )

    def __set__(self, clip: "Clip", value: bytes | Kept) -> None:
        """Take FLAC, or where it lies."""
        clip.__dict__["flac"] = value


@dataclass(frozen=True)
class Clip:
    """One item as heard by the models.

    Attributes:
        id: Item.
        voice: Voice, by its name in the config, or ``natural``.
        flac: 16-bit mono FLAC; of a clip from a file it is read whenever it is asked for.
        sampling_rate: In Hz.
        seconds: Length.
        provider: Engine, version and voice that spoke.
        text: What was to be said.
        sha256: Of ``flac``, hexadecimal.
        snr_db: Measured signal-to-noise ratio in dB; None without noise.
        problem: "empty", "silent", "too long", "clipped" or None; of recordings also "short" or "upsampled".
        rt60_ms: Measured reverberation time of the room in ms; None without one.
    """

    id: str
    voice: str
    flac: bytes
    sampling_rate: int
    seconds: float
    provider: str
    text: str
    sha256: str
    snr_db: float | None = None
    problem: str | None = None
    rt60_ms: float | None = None


# After the class is made: a field that begins with it would have it as its default.
Clip.flac = KeptSound()  # type: ignore[assignment]


def hash_audio(flac: bytes) -> str:
    """SHA-256 of encoded audio, hexadecimal."""
    return hashlib.sha256(flac).hexdigest()


def decode(clip: Clip) -> Waveform:
    """Samples of a clip, float32 at 16 kHz, shape (n,).

    Raises:
        StudyError: If the audio is broken; names the clip.
    """
    try:
        return decode_flac(clip.flac)
    except StudyError as error:
        raise StudyError(f"Clip {clip.id} in voice {clip.voice}: {error}") from error


_AUDIO = pa.struct({"bytes": pa.binary(), "path": pa.string()})
_COLUMNS: dict[str, tuple[pa.DataType, dict[str, str | int]]] = {
    "id": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "voice": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "audio": (_AUDIO, {"sampling_rate": SAMPLING_RATE, "_type": "Audio"}),
    "sampling_rate": (pa.int32(), {"dtype": "int32", "_type": "Value"}),
    "seconds": (pa.float64(), {"dtype": "float64", "_type": "Value"}),
    "provider": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "text": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "sha256": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "snr_db": (pa.float64(), {"dtype": "float64", "_type": "Value"}),
    "problem": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "rt60_ms": (pa.float64(), {"dtype": "float64", "_type": "Value"}),
}
REPEATED = ["voice", "sampling_rate", "provider", "problem"]
"""Columns whose values are written once a group."""
_LATER = {"rt60_ms"}
"""Columns that files from before them lack: nothing of theirs is lost."""


def schema() -> pa.Schema:
    """Columns of a clip file, with the features that `datasets` reads from the schema's metadata."""
    features = {name: feature for name, (_, feature) in _COLUMNS.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([(name, kind) for name, (kind, _) in _COLUMNS.items()], metadata=metadata)


def write_clips(clips: Iterable[Clip], path: Path, of: Names) -> None:
    """Write clips as Parquet, in their order, some at a time.

    Args:
        clips: What to write.
        path: The file; it appears complete or not at all.
        of: What they are: ``task``, ``voice`` and ``condition``.

    Raises:
        StudyError: If an item occurs twice in one voice.
    """
    kind = schema()
    kind = kind.with_metadata((kind.metadata or {}) | header(of))
    seen: set[tuple[str, str]] = set()
    waiting = iter(clips)
    with replacing(path) as part, pq.ParquetWriter(part, kind, compression="zstd", use_dictionary=REPEATED) as writer:
        while some := list(islice(waiting, ROWS_A_GROUP)):
            for clip in some:
                if (clip.id, clip.voice) in seen:
                    raise StudyError(f"{path}: item {clip.id} occurs twice in voice {clip.voice}; ids must be unique.")
                seen.add((clip.id, clip.voice))
            columns: dict[str, list[object]] = {
                field.name: [getattr(clip, field.name) for clip in some]
                for field in fields(Clip)
                if field.name != "flac"
            }
            columns["audio"] = [{"bytes": clip.flac, "path": f"{clip.id}.flac"} for clip in some]
            writer.write_table(pa.table(columns, schema=kind))


def read_clips(path: Path) -> list[Clip]:
    """Read clips that :func:`write_clips` wrote; their sound is looked through and not kept.

    Raises:
        StudyError: If the file is missing, no clip file, or its audio is not what was written.
    """
    file, clips = SoundFile(path), []
    with _explaining(path):
        names = file.parquet.schema_arrow.names
        if missing := sorted(_COLUMNS.keys() - _LATER - set(names)):
            raise StudyError(f"{path} lacks the columns {', '.join(missing)}: delete it and run again.")
        known = [name for name in _COLUMNS if name in names and name != "audio"]
        for group in range(file.parquet.num_row_groups):
            rows = file.parquet.read_row_group(group, columns=known, use_threads=False).to_pylist()
            for place, (row, sound) in enumerate(zip(rows, file.sounds(group), strict=True)):
                if hashlib.sha256(sound.as_buffer()).hexdigest() != row["sha256"]:
                    raise StudyError(
                        f"{path}: the audio of item {row['id']} is corrupt: delete the file and run again."
                    )
                clips.append(Clip(flac=Kept(path, partial(file.read, group, place)), **row))  # type: ignore[arg-type]
    return clips


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Say of a file that is not there or cannot be read what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing: run the speech stage first.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{path} is no readable clip file ({error}): delete it and run again.") from error
