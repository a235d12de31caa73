"""Waveforms: float32 mono arrays at 16 kHz, and their 16-bit FLAC form."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from cascade_equivalence.errors import StudyError

SAMPLING_RATE = 16_000
STEPS = 32_768  # of a 16-bit sample, to each side of zero

Waveform = npt.NDArray[np.float32]


def resample(audio: npt.NDArray[np.floating], rate: int) -> Waveform:
    """Bring mono audio to 16 kHz (soxr, "HQ").

    Args:
        audio: Samples, shape (n,).
        rate: Their sampling rate in Hz.

    Returns:
        Samples at 16 kHz, shape (about n * 16000 / rate,).
    """
    audio = np.asarray(audio, dtype=np.float32)
    if rate == SAMPLING_RATE or not audio.size:
        return audio
    return np.asarray(soxr.resample(audio, rate, SAMPLING_RATE, quality="HQ"), dtype=np.float32)


def rms(audio: npt.NDArray[np.floating]) -> float:
    """Root mean square of a waveform; 0 for an empty one."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0


def to_steps(audio: npt.NDArray[np.floating]) -> npt.NDArray[np.int16]:
    """Samples in [-1, 1) as 16-bit steps, the nearest ones and at most full scale, shape (n,)."""
    return np.clip(np.rint(np.asarray(audio, dtype=np.float64) * STEPS), -STEPS, STEPS - 1).astype(np.int16)


def encode_flac(audio: Waveform) -> bytes:
    """Encode a waveform as 16-bit mono FLAC at 16 kHz.

    Rounding is to the nearest step without dither, so equal samples give equal bytes; samples beyond full scale are
    cut off (``audit.find_problem`` tells). A FLAC file cannot hold no samples: no bytes stand for them.

    Args:
        audio: Samples in [-1, 1), shape (n,).

    Raises:
        StudyError: If a sample is not a number.
    """
    if not np.isfinite(audio).all():
        raise StudyError("The audio holds samples that are not numbers: the voice or recording is broken.")
    if not audio.size:
        return b""
    file = BytesIO()
    soundfile.write(file, to_steps(audio), SAMPLING_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def decode_flac(flac: bytes) -> Waveform:
    """Decode what :func:`encode_flac` made; the inverse but for the rounding to 16 bits.

    Raises:
        StudyError: If the bytes are no mono audio at 16 kHz.
    """
    if not flac:
        return np.zeros(0, dtype=np.float32)
    try:
        audio, rate = soundfile.read(BytesIO(flac), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise StudyError(f"The audio cannot be decoded ({error}): delete the file it is in and run again.") from error
    if rate != SAMPLING_RATE or audio.ndim != 1:
        raise StudyError(f"The audio has {rate} Hz and shape {audio.shape}; 16 kHz mono is needed.")
    return np.asarray(audio, dtype=np.float32)
