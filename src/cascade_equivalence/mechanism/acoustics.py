"""How loud and how high a clip is: what the acoustic probes predict and the acoustic eraser removes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.waveform import SAMPLING_RATE

HOP = 320
"""Samples between frames, 20 ms."""
ENERGY_FRAME = 1024
FLOOR = 1e-5
"""Smallest mean RMS, -100 dB against full scale, so that silence has a level, too."""
PERIODS = 4
"""Periods of the lowest pitch that a frame of the pitch tracker holds."""
RESOLUTION = 0.2
"""Steps of the pitch tracker in semitones, 1.2 %; half of librosa's resolution, for a third of the time."""


@dataclass(frozen=True)
class Acoustics:
    """Loudness and pitch of a clip.

    Attributes:
        energy_db: Mean RMS over its frames, in dB against full scale.
        log_f0: Mean natural logarithm of the pitch in Hz over its voiced frames; None where none is voiced.
        voiced_share: Share of its frames that are voiced.
    """

    energy_db: float
    log_f0: float | None
    voiced_share: float


def acoustic_targets(waveform: np.ndarray, low: float, high: float) -> Acoustics:
    """Measure a clip (paper section 3.4; the pitch by pYIN, Mauch and Dixon 2014, as librosa has it).

    Args:
        waveform: Mono samples at 16 kHz, (n,), full scale 1.
        low: Lowest pitch looked for, in Hz.
        high: Highest pitch looked for, in Hz.

    Raises:
        StudyError: The clip has no samples or some that are not numbers, or the pitch range is none.
    """
    if not waveform.size or not np.isfinite(waveform).all():
        raise StudyError("A clip holds no samples, or samples that are not numbers: make or record it again.")
    if not 0 < low < high < SAMPLING_RATE / 4:
        raise StudyError(f"Pitch cannot be sought between {low} and {high} Hz: set pitch_low and pitch_high anew.")
    import librosa

    samples = np.asarray(waveform, dtype=np.float32)
    levels = librosa.feature.rms(y=samples, frame_length=ENERGY_FRAME, hop_length=HOP)
    f0, voiced = pitch_track(samples, low, high)
    return Acoustics(
        energy_db=float(20 * np.log10(max(float(levels.mean(dtype=np.float64)), FLOOR))),
        log_f0=float(np.log(f0[voiced]).mean()) if voiced.any() else None,
        voiced_share=float(voiced.mean()),
    )


def pitch_track(samples: NDArray[np.float32], low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pitch by pYIN (Mauch & Dixon 2014).

    Args:
        samples: 16 kHz, (n,).
        low: Lowest pitch in Hz; it decides how long a frame is.
        high: Highest pitch in Hz.

    Returns:
        Pitch in Hz, NaN where unvoiced, and whether a frame is voiced, (frames,) each.
    """
    import librosa

    frame = 1 << int(np.ceil(np.log2(PERIODS * SAMPLING_RATE / low)))
    pitch, voiced, _ = librosa.pyin(
        samples, fmin=low, fmax=high, sr=SAMPLING_RATE, frame_length=frame, hop_length=HOP, resolution=RESOLUTION
    )
    return pitch, voiced
