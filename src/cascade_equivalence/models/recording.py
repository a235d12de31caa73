"""`Recording`: a clip as models get it, decoded when it is needed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recording:
    """One clip: its hash, its length in seconds, and how to get the waveform (16 kHz, float32, shape (n,))."""

    sha256: str
    seconds: float
    decode: Callable[[], np.ndarray]
