"""Clips: what was spoken and how it sounds, in Parquet files that the Hugging Face `datasets` library plays."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.identity import Names, header
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, decode_flac

SPEECH_FORMAT = 1
"""Raised when the same voice and text would give other bytes (resampler, rounding, codec settings)."""

ROWS_A_GROUP = 256


@dataclass(frozen=True)
class Clip:
    """One item as heard by the models.

    Attributes:
        id: Item.
        voice: Voice, by its name in the config, or ``natural``.
        flac: 16-bit mono FLAC.
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
_LATER = {"rt60_ms"}
"""Columns that files from before them lack: nothing of theirs is lost."""


def schema() -> pa.Schema:
    """Columns of a clip file, with the features that `datasets` reads from the schema's metadata."""
    features = {name: feature for name, (_, feature) in _COLUMNS.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([(name, kind) for name, (kind, _) in _COLUMNS.items()], metadata=metadata)


def write_clips(clips: Sequence[Clip], path: Path, of: Names) -> None:
    """Write clips as Parquet, in their order.

    Args:
        clips: What to write.
        path: The file; it appears complete or not at all.
        of: What they are: ``task``, ``voice`` and ``condition``.

    Raises:
        StudyError: If an item occurs twice in one voice.
    """
    seen: set[tuple[str, str]] = set()
    for clip in clips:
        if (clip.id, clip.voice) in seen:
            raise StudyError(f"{path}: item {clip.id} occurs twice in voice {clip.voice}; ids must be unique.")
        seen.add((clip.id, clip.voice))
    columns: dict[str, list[object]] = {
        field.name: [getattr(clip, field.name) for clip in clips] for field in fields(Clip) if field.name != "flac"
    }
    columns["audio"] = [{"bytes": clip.flac, "path": f"{clip.id}.flac"} for clip in clips]
    table = pa.table(columns, schema=schema())
    table = table.replace_schema_metadata((table.schema.metadata or {}) | header(of))
    with replacing(path) as part:
        pq.write_table(table, part, row_group_size=ROWS_A_GROUP, compression="zstd")


def read_clips(path: Path) -> list[Clip]:
    """Read clips that :func:`write_clips` wrote.

    Raises:
        StudyError: If the file is missing, no clip file, or its audio is not what was written.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing: run the speech stage first.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{path} is no readable clip file ({error}): delete it and run again.") from error
    if missing := sorted(_COLUMNS.keys() - _LATER - set(table.column_names)):
        raise StudyError(f"{path} lacks the columns {', '.join(missing)}: delete it and run again.")
    clips = []
    for row in table.select([name for name in _COLUMNS if name in table.column_names]).to_pylist():
        flac = row.pop("audio")["bytes"]
        if hash_audio(flac) != row["sha256"]:
            raise StudyError(f"{path}: the audio of item {row['id']} is corrupt: delete the file and run again.")
        clips.append(Clip(flac=flac, **row))
    return clips
