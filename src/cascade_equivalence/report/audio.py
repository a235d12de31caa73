"""Clips small enough to be part of a page, as addresses that hold the sound itself."""

import base64
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import hash_audio
from cascade_equivalence.speech.waveform import SAMPLING_RATE, decode_flac

COMPRESSION = 0.7
"""Of libsndfile's MP3 encoder, 0 to 1: about 30 kbit/s of speech at 16 kHz, a quarter of FLAC; above 0.9 words blur."""
FLAC, MP3 = "audio/flac", "audio/mpeg"


class ClipSound(NamedTuple):
    """A clip: what was to be said, its length in seconds, and the sound as FLAC."""

    text: str
    seconds: float
    flac: bytes


def read_some(path: Path, ids: Iterable[str]) -> dict[str, ClipSound]:
    """Read some items' clips from a clip file, without holding the others.

    Args:
        path: The file.
        ids: The items; those that it lacks are left out.

    Raises:
        StudyError: The audio of a clip is not what was written.
    """
    rows = pl.scan_parquet(path).filter(pl.col("id").is_in(sorted(ids)))
    sound = pl.col("audio").struct.field("bytes")
    found = {}
    for item, text, seconds, flac, sha256 in (
        rows.select("id", "text", "seconds", sound, "sha256").collect().iter_rows()
    ):
        if hash_audio(flac) != sha256:
            raise StudyError(f"{path}: the audio of item {item} is corrupt: delete the file and run again.")
        found[item] = ClipSound(text, seconds, flac)
    return found


@cache
def small_format() -> str:
    """MIME type of the smaller of the formats that libsndfile can write and every browser plays.

    Ogg Opus would be as small, but libsndfile draws a new stream number at each encoding, so equal clips would give
    other bytes every time, and it is the one that older browsers do not play.
    """
    import soundfile

    return MP3 if "MP3" in soundfile.available_formats() else FLAC


def data_uri(flac: bytes) -> str:
    """A clip as a ``data:`` address; equal clips give equal addresses.

    Args:
        flac: 16-bit mono FLAC at 16 kHz, as in a clip file.

    Raises:
        StudyError: The audio cannot be decoded.
    """
    kind = small_format()
    sound = _mp3(flac) if kind == MP3 else flac
    return f"data:{kind};base64,{base64.b64encode(sound).decode('ascii')}"


def _mp3(flac: bytes) -> bytes:
    import soundfile

    file = BytesIO()
    soundfile.write(
        file,
        decode_flac(flac),
        SAMPLING_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=COMPRESSION,
    )
    return file.getvalue()


def within(flacs: Iterable[tuple[int, bytes]], budget: int) -> dict[int, str]:
    """Clips as addresses, in their order, until the next would go beyond a budget.

    Args:
        flacs: Number and sound of each clip; clips without a sample are passed over.
        budget: Most characters of all addresses together.

    Returns:
        Addresses by number.
    """
    found: dict[int, str] = {}
    spent = 0
    for number, flac in flacs:
        if not flac:
            continue
        address = data_uri(flac)
        spent += len(address)
        if spent > budget:
            break
        found[number] = address
    return found
