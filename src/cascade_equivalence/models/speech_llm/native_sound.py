"""From one waveform to what a model's ``get_audio_features`` takes, the way its own processor makes it.

A function here is named in a model's row in ``native_models``. It takes the checkpoint's folder and config and gives a
:class:`Listening`. A clip is made ready by itself, so that its vectors do not depend on the clips beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from cascade_equivalence.errors import StudyError

Inputs = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Listening:
    """How a model hears a waveform.

    Attributes:
        inputs: From a waveform (samples,), float32 at ``rate``, to arguments of ``get_audio_features``.
        rate: Samples a second.
        shortest: Samples of the shortest sound that becomes a vector; silence fills shorter sound up.
        longest: Samples that are heard; what is behind them is not. None where a clip may be of any length.
    """

    inputs: Callable[[np.ndarray], Inputs]
    rate: int
    shortest: int
    longest: int | None = None


def _spectrogram(folder: Path, config: Any) -> WhisperFeatureExtractor:
    """The checkpoint's Whisper spectrogram, checked against its audio tower.

    Raises:
        StudyError: They do not fit together.
    """
    features = WhisperFeatureExtractor.from_pretrained(folder)
    tower = config.audio_config
    wanted, found = (
        (tower.num_mel_bins, 2 * tower.max_source_positions),
        (features.feature_size, features.nb_max_frames),
    )
    if wanted != found:
        raise StudyError(
            f"{folder}: the audio tower takes {wanted[0]} mel bands and {wanted[1]} frames, its "
            f"preprocessor_config.json makes {found[0]} and {found[1]}: fetch the model again"
        )
    return features


def whole_windows(folder: Path, config: Any) -> Listening:
    """Voxtral: silence fills a clip up to whole windows of 30 s; they are heard one by one, silence and all."""
    features = _spectrogram(folder, config)

    def inputs(audio: np.ndarray) -> Inputs:
        made = features(
            audio,
            sampling_rate=features.sampling_rate,
            padding="longest",
            truncation=False,
            pad_to_multiple_of=features.n_samples,
            return_tensors="pt",
        )["input_features"]
        windows = made.reshape(features.feature_size, -1, features.nb_max_frames).transpose(0, 1)
        return {"input_features": windows}

    return Listening(inputs, features.sampling_rate, 1)
