"""Log-mel spectrograms on a clip's true length, as Ultravox's processor computes them: nothing is padded to 30 s."""

from collections.abc import Sequence

import numpy as np
import torch

HOP = 160
"""Samples a mel frame (10 ms)."""
SHORTEST = 2 * HOP
"""Shorter sound is filled up with silence to this many samples, two mel frames."""


def frames_of(samples: int) -> int:
    """Mel frames of a waveform with some number of samples at 16 kHz."""
    return -(-max(samples, SHORTEST) // HOP)


def log_mel(audio: np.ndarray, mels: int, device: str | torch.device = "cpu") -> torch.Tensor:
    """Compute the spectrogram of one clip of any length.

    The clip is filled up with silence to whole frames. Values are cut off 80 dB below the loudest of the whole clip,
    also where the clip is later cut into pieces.

    Args:
        audio: Waveform at 16 kHz.
        mels: Mel bands of the model, 80 or 128.
        device: Where to compute.

    Returns:
        Float32 tensor (mels, ``frames_of(len(audio))``).
    """
    from whisper.audio import log_mel_spectrogram

    padded = np.zeros(frames_of(len(audio)) * HOP, dtype=np.float32)
    padded[: len(audio)] = audio
    return log_mel_spectrogram(torch.from_numpy(padded), n_mels=mels, device=device)


def batch_mels(spectrograms: Sequence[torch.Tensor], least: int = 0) -> torch.Tensor:
    """Stack spectrograms (mels, frames) into (pieces, mels, longest or least); zeros fill up."""
    longest = max(least, *(mel.shape[1] for mel in spectrograms))
    batch = spectrograms[0].new_zeros(len(spectrograms), spectrograms[0].shape[0], longest)
    for row, mel in zip(batch, spectrograms, strict=True):
        row[:, : mel.shape[1]] = mel
    return batch
