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
from transformers import AutoFeatureExtractor, WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import PROCESSORS, sound_settings
from cascade_equivalence.models.checkpoint import read_json

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


def _spectrogram(folder: Path, tower: Any) -> WhisperFeatureExtractor:
    """The checkpoint's Whisper spectrogram, checked against its audio tower's config.

    Raises:
        StudyError: They do not fit together.
    """
    features = WhisperFeatureExtractor.from_pretrained(folder)
    found = [features.feature_size]
    wanted = [tower.num_mel_bins]
    # A tower whose positions turn, or that cuts its windows itself, takes any number of frames.
    if hasattr(tower, "max_source_positions") and not hasattr(tower, "n_window"):
        found, wanted = [*found, features.nb_max_frames], [*wanted, 2 * tower.max_source_positions]
    if wanted != found:
        raise StudyError(
            f"{folder}: the audio tower takes mel bands (and frames) {wanted}, its "
            f"preprocessor_config.json makes {found}: fetch the model again"
        )
    return features


def whole_windows(folder: Path, config: Any) -> Listening:
    """Voxtral: silence fills a clip up to whole windows of 30 s; they are heard one by one, silence and all."""
    features = _spectrogram(folder, config.audio_config)

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


def _heard_windows(folder: Path, config: Any, frames: int) -> Listening:
    """A clip in windows of 30 s, of each of which its own frames are heard.

    Args:
        folder: The checkpoint.
        config: Its config.
        frames: Mel frames that the shortest sound with a vector has.
    """
    features = _spectrogram(folder, config.audio_config)

    def inputs(audio: np.ndarray) -> Inputs:
        made = features(
            [audio[start : start + features.n_samples] for start in range(0, len(audio), features.n_samples)],
            sampling_rate=features.sampling_rate,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        return {"input_features": made["input_features"], "input_features_mask": made["attention_mask"]}

    path = folder / PROCESSORS[1]
    most = read_json(path).get("max_audio_len") if path.is_file() else None
    longest = None if most is None else int(most // features.chunk_length) * features.n_samples
    return Listening(inputs, features.sampling_rate, frames * features.hop_length, longest)


def audio_flamingo(folder: Path, config: Any) -> Listening:
    """Audio Flamingo: vectors of 40 ms; two frames of 20 ms are one."""
    return _heard_windows(folder, config, 3)


def glm_asr(folder: Path, config: Any) -> Listening:
    """GLM-ASR: vectors of 80 ms; four frames of 20 ms are one, and what is left of four is not heard."""
    return _heard_windows(folder, config, 7)


def _all_frames(folder: Path, config: Any, frames: int, **how: Any) -> Listening:
    """A clip in one spectrogram, of which its own frames are heard; the audio tower cuts it.

    Args:
        folder: The checkpoint.
        config: Its config.
        frames: Mel frames that the shortest sound with a vector has.
        how: How the feature extractor fills up and cuts.
    """
    features = _spectrogram(folder, config.audio_config)

    def inputs(audio: np.ndarray) -> Inputs:
        made = features(
            audio, sampling_rate=features.sampling_rate, return_attention_mask=True, return_tensors="pt", **how
        )
        return {"input_features": made["input_features"], "feature_attention_mask": made["attention_mask"]}

    longest = None if how.get("truncation") is False else int(features.n_samples)
    # The transform mirrors half a frame of it at either end.
    shortest = max(frames * features.hop_length, features.n_fft // 2 + 1)
    return Listening(inputs, features.sampling_rate, shortest, longest)


def qwen_omni(folder: Path, config: Any) -> Listening:
    """Qwen2.5-Omni: vectors of 40 ms, up to the length that its feature extractor takes (300 s as published)."""
    return _all_frames(folder, config, 3, padding="max_length")


def qwen3_omni(folder: Path, config: Any) -> Listening:
    """Qwen3-Omni: 13 vectors a second, of sound of any length."""
    return _all_frames(folder, config, 1, padding="longest", truncation=False)


def gemma(folder: Path, config: Any) -> Listening:
    """Gemma 4: 25 vectors a second of the first 30 s."""
    features: Any = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    longest = 30 * int(features.sampling_rate)

    def inputs(audio: np.ndarray) -> Inputs:
        made = features([audio], return_tensors="pt")
        return {"input_features": made["input_features"], "input_features_mask": made["input_features_mask"].bool()}

    return Listening(inputs, int(features.sampling_rate), int(features.frame_length) + 1, longest)


# Granite's spectrogram: samples of a frame's transform, of its window and between frames; bands.
_TRANSFORM, _WINDOW, _HOP, _BANDS = 512, 400, 160, 80


def granite(folder: Path, config: Any) -> Listening:
    """Granite Speech: logarithms of HTK's mel bands, 80 dB deep below the loudest of the clip, two frames in one.

    Its own feature extractor computes them with torchaudio, which this project does without: here torch does.

    Raises:
        StudyError: The checkpoint asks for another spectrogram.
    """
    settings = sound_settings(folder)
    rate = int(settings.get("sampling_rate", 16000))
    usual = {"sample_rate": rate, "n_fft": _TRANSFORM, "win_length": _WINDOW, "hop_length": _HOP, "n_mels": _BANDS}
    said = settings.get("melspec_kwargs", {}) | {key: settings[key] for key in usual if key in settings}
    wrong = [f"{key} {value}" for key, value in said.items() if usual.get(key, value) != value]
    if wrong or config.encoder_config.input_dim != 2 * _BANDS:
        raise StudyError(
            f"{folder} asks for a spectrogram that is not supported ({', '.join(wrong) or 'other bands'}): only "
            "that of the published Granite Speech models is"
        )
    bands = mel_filter_bank(_TRANSFORM // 2 + 1, _BANDS, 0.0, rate / 2, rate, norm=None, mel_scale="htk")
    filters, window = torch.from_numpy(bands).float(), torch.hann_window(_WINDOW)

    def inputs(audio: np.ndarray) -> Inputs:
        sound = torch.from_numpy(audio)
        waves = torch.stft(sound, _TRANSFORM, _HOP, _WINDOW, window, return_complex=True).abs().square()
        loud = (waves.T @ filters).clamp(min=1e-10).log10()
        loud = torch.maximum(loud, loud.max() - 8) / 4 + 1
        return {"input_features": loud[: len(loud) // 2 * 2].reshape(1, -1, 2 * _BANDS)}

    return Listening(inputs, rate, _TRANSFORM // 2 + 1)
