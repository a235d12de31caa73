"""A kind of noise: the hum of the mains, a tone of 50 Hz with its first overtones."""

from collections.abc import Iterator

import numpy as np

from cascade_equivalence.conditions import NOISE_KINDS, RATIO
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.noise import mix_clips
from cascade_equivalence.speech.noise_kinds.base import Mixing, NoiseKind
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform

MAINS_HZ = 50.0
OVERTONES = (1.0, 0.5, 0.25, 0.125)


def hum(samples: int) -> Waveform:
    """So many samples of hum."""
    times = np.arange(samples) / SAMPLING_RATE
    tones = (size * np.sin(2 * np.pi * MAINS_HZ * number * times) for number, size in enumerate(OVERTONES, start=1))
    return np.sum(list(tones), axis=0).astype(np.float32)


def add_hum(asked: Mixing) -> Iterator[Clip]:
    """Each clip with hum behind it, at the ratio that was asked for."""
    return mix_clips(asked.clean, lambda clip: hum(decode(clip).size), asked.task, asked.level)


NOISE_KINDS.add(NoiseKind(name="hum", prefix="hum", scale=RATIO, mix=add_hum, title="mains hum"))
