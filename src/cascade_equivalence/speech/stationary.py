"""Stationary noise with the spectrum of speech: Gaussian noise, coloured like the long-term spectrum of the voice.

It masks all of the speech evenly and has no words, no pauses and no pitch, so that what it does is a matter of energy
alone. It is generated: MUSAN's `noise` holds events (steps, horns, rain), which are not stationary.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.noise import mix_clips, noise_generator
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform

FRAME = 512
"""Samples a frame of the spectrum, 32 ms: it follows formants and leaves single harmonics out."""


def long_term_spectrum(clips: Sequence[Clip]) -> npt.NDArray[np.float64]:
    """Mean power spectrum of some clips (Welch), each by its length; their order does not matter.

    Args:
        clips: The clips; those without sound are left out.

    Returns:
        Power at FRAME // 2 + 1 frequencies from 0 to 8 kHz.

    Raises:
        StudyError: If nothing can be heard.
    """
    from scipy.signal import welch

    total = np.zeros(FRAME // 2 + 1)
    for clip in sorted(clips, key=lambda clip: (clip.voice, clip.id)):
        if clip.problem in ("empty", "silent") or not (speech := decode(clip)).size:
            continue
        padded = np.pad(speech.astype(np.float64), (0, max(0, FRAME - speech.size)))
        total += speech.size * welch(padded, SAMPLING_RATE, nperseg=FRAME, detrend=False)[1]
    if not total.any():
        raise StudyError("No clip can be heard, so there is no spectrum to give to stationary noise.")
    return np.asarray(total / total.sum())


def shaped_noise(spectrum: npt.NDArray[np.float64], samples: int, rng: np.random.Generator) -> Waveform:
    """Gaussian noise with a power spectrum.

    Args:
        spectrum: Power at evenly spaced frequencies from 0 to 8 kHz.
        samples: Length.
        rng: Random numbers.

    Returns:
        Samples at 16 kHz, shape (samples,); the gain is free.
    """
    white = np.fft.rfft(rng.standard_normal(samples))
    places = np.linspace(0, len(spectrum) - 1, len(white))
    shape = np.sqrt(np.interp(places, np.arange(len(spectrum)), spectrum))
    return np.fft.irfft(white * shape, samples).astype(np.float32)


def add_stationary(clean: Sequence[Clip], task: str, snr_db: float, seed: int) -> Iterator[Clip]:
    """Clips of one voice in stationary noise that has the long-term spectrum of all of them.

    Args:
        clean: The clips.
        task: Task of the clips.
        snr_db: Signal-to-noise ratio in dB.
        seed: The study's seed.

    Yields:
        The clips with noise, in the same order, each with its measured ratio.

    Raises:
        StudyError: If a clip is empty or silent, or 16 bits cannot hold the ratio.
    """
    spectrum = long_term_spectrum(clean) if clean else np.zeros(0)

    def noise(clip: Clip) -> Waveform:
        return shaped_noise(spectrum, decode(clip).size, noise_generator(seed, task, clip, "stationary"))

    return mix_clips(clean, noise, task, snr_db)
