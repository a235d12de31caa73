"""What tests of transcription share: a sound, settings and the engines."""

from typing import Any

import numpy as np

from cascade_equivalence.config.study import TranscribeConfig

CONFIG = TranscribeConfig(device="cpu", dtype="float32", batch_size=4, max_new_tokens=12)
ENGINES = ("openai-whisper", "faster-whisper", "hybrid")


def noise(length: int, seed: int = 0, loudness: float = 0.1) -> np.ndarray:
    """Sound that is not stationary, so that frames differ."""
    wave = np.random.default_rng(seed).standard_normal(length) * np.linspace(0.2, 1, length) * loudness
    return wave.astype(np.float32)


def config(**changes: Any) -> TranscribeConfig:
    return CONFIG.model_copy(update=changes)
