"""Decodes one recording in bounded memory, and says what is wrong with it; its header is not trusted."""

from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.waveform import Waveform, resample

LONGEST_SECONDS = 600
"""Of a recording of one item; models hear half a minute."""
RATES = (1_000, 1_000_000)
"""Sampling rates in Hz that sound can have; a header that says another is damaged."""
LOUDEST = 10.0
"""20 dB beyond full scale, which no recorder and no codec overshoots by: the samples are on another scale."""
CANCELLED = 0.01
"""Power that is left of channels once they are mixed, of what unrelated ones keep: -20 dB."""

UNKNOWN_SIZE = 0x7FFF0000
"""Sizes and counts from here on stand in headers of programs that could not know them."""
SLACK = 64
"""Bytes by which some programs are wrong about the size."""

_SIZED: dict[bytes, Literal["little", "big"]] = {b"RIFF": "little", b"FORM": "big"}  # WAV, AIFF
_PAGE = 27  # bytes before the table of an Ogg page
_BLOCK = 2**20  # samples that are read at once
# What soundfile raises for files that libsndfile opens but cannot read.
_FOREIGN = (soundfile.SoundFileError, ArithmeticError, AssertionError, MemoryError, TypeError, ValueError)


def decode_recording(content: bytes) -> Waveform:
    """Decode a sound file of any format, rate and number of channels.

    Args:
        content: The file's bytes.

    Returns:
        The mean of its channels at 16 kHz, shape (n,).

    Raises:
        StudyError: If it is no sound, ends before it says, is longer than ten minutes, has samples that are not numbers
            or far beyond full scale, or its channels cancel each other. The message speaks of the file as "it".
    """
    content = _completed(content)
    size = _said_size(content)
    # libsndfile takes what there is. A program that could not know the size gives the largest there is, or none.
    if len(content) + SLACK < size < UNKNOWN_SIZE:
        raise StudyError(f"it breaks off after {len(content)} of {size + 8} bytes.")
    if content[:4] == b"OggS" and not _ogg_ends(content):
        raise StudyError("it breaks off: its last page is not marked as the end of the stream.")
    try:
        with _Forward(_Content(content)) as file:
            if not RATES[0] <= file.samplerate <= RATES[1]:
                raise StudyError(f"its header says a sampling rate of {file.samplerate} Hz: it is damaged.")
            return resample(_mixed(file), file.samplerate)
    except _FOREIGN as error:
        raise StudyError("it cannot be read as sound: it is damaged, or no sound file.") from error


def kept_rate(content: bytes) -> int:
    """The sampling rate in Hz that a file has which :func:`decode_recording` decodes."""
    with _Forward(_Content(_completed(content))) as file:
        return int(file.samplerate)


class _Forward(soundfile.SoundFile):
    """A sound file that is only read on: after each block soundfile would seek to where it is, which many cannot."""

    def seekable(self) -> bool:
        """Never."""
        return False


class _Content(BytesIO):
    """A file's bytes, for a library that asks for places before the first when a header is damaged."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move; to no place that there is not."""
        try:
            return super().seek(offset, whence)
        except (OverflowError, ValueError):
            return self.tell()


def _mixed(file: soundfile.SoundFile) -> npt.NDArray[np.float32]:
    """The mean of all channels, checked."""
    count, limit = file.frames, LONGEST_SECONDS * file.samplerate
    mono: list[npt.NDArray[np.float32]] = []
    power = np.zeros(file.channels)
    read = 0
    block = max(1, _BLOCK // file.channels)
    while read <= limit:
        audio = file.read(block, dtype="float32", always_2d=True)
        _check_numbers(audio)
        read += len(audio)
        power += np.square(audio, dtype=np.float64).sum(axis=0)
        mono.append(audio.mean(axis=1))
        if len(audio) < block:
            break
    if read > limit:
        raise StudyError(f"it is longer than {LONGEST_SECONDS} s, which no recording of one item is.")
    if read < count < UNKNOWN_SIZE:
        raise StudyError(f"it breaks off after {read / file.samplerate:.1f} of {count / file.samplerate:.1f} s.")
    mixed = np.concatenate(mono)
    left = float(np.square(mixed, dtype=np.float64).sum())
    if left < CANCELLED * power.sum() / file.channels**2:
        raise StudyError(
            f"its {file.channels} channels cancel each other, one being the other's negative: keep one of them, as in "
            "`ffmpeg -i IN -af 'pan=mono|c0=c0' OUT`."
        )
    return mixed


def _check_numbers(audio: npt.NDArray[np.float32]) -> None:
    if wrong := int(np.count_nonzero(~np.isfinite(audio))):
        raise StudyError(f"{wrong} of its samples are not numbers (NaN or infinite).")
    peak = float(np.abs(audio).max(initial=0))
    if peak > LOUDEST:
        raise StudyError(
            f"its peak is {peak:.4g}, and full scale is 1: its samples are on another scale, such as that of integers; "
            "divide them by it."
        )


def _said_size(content: bytes) -> int:
    """Bytes that a file says it has, without the first eight; 0 where its kind says none."""
    if content[:4] == b"RF64" and content[12:16] == b"ds64":
        return int.from_bytes(content[20:28], "little")
    order = _SIZED.get(content[:4])
    return int.from_bytes(content[4:8], order) if order else 0


def _completed(content: bytes) -> bytes:
    """A WAV file whose header was never completed, with its sizes filled in; any other content as it is."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return content
    place = 12
    while content[place : place + 4] != b"data":
        place += 8 + int.from_bytes(content[place + 4 : place + 8], "little")
        if place + 8 > len(content):
            return content
    start, end = place + 8, 8 + int.from_bytes(content[4:8], "little")
    if content[place + 4 : start] != b"\0\0\0\0" or end > start or len(content) == start:
        return content
    sizes = [min(size, 0xFFFFFFFF).to_bytes(4, "little") for size in (len(content) - 8, len(content) - start)]
    return b"".join((content[:4], sizes[0], content[8 : place + 4], sizes[1], content[start:]))


def _ogg_ends(content: bytes) -> bool:
    """Whether every stream of an Ogg file has its last page, whole and marked as such (RFC 3533)."""
    ended: dict[bytes, bool] = {}
    place = 0
    while content[place : place + 4] == b"OggS":
        head = content[place : place + _PAGE]
        table = content[place + _PAGE : place + _PAGE + head[-1]]
        place += _PAGE + len(table) + sum(table)
        if len(head) < _PAGE or len(table) < head[-1] or place > len(content):
            return False
        ended[head[14:18]] = bool(head[5] & 4)
    return all(ended.values())
