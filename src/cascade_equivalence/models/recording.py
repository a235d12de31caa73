"""Sound that a model is to hear."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recording:
    """One clip: its hash, its length in seconds, and how to get the waveform (16 kHz, float32, shape (n,))."""

    sha256: str
    seconds: float
    decode: Callable[[], np.ndarray]
