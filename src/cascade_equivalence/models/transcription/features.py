"""Whisper's input: the log-mel spectrogram of a 30 s window."""

from collections.abc import Sequence

import numpy as np
import torch
from whisper.audio import HOP_LENGTH, N_FFT, N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim


def window(audio: Sequence[np.ndarray], mels: int) -> torch.Tensor:
    """Compute the windows of a batch the way ``whisper.transcribe`` does.

    The sound is cut at 30 s; behind its end the SPECTROGRAM is zero. (``pad_or_trim`` on the waveform would put the
    spectrogram of silence there instead, and change about one transcript in seven.)

    Args:
        audio: Waveforms at 16 kHz, float32.
        mels: Mel bands of the model, 80 or 128.

    Returns:
        Float32 tensor (clips, mels, 3000).
    """
    windows = []
    for clip in audio:
        heard = clip[:N_SAMPLES]
        # Some silence behind the sound keeps its last frames free of the Fourier transform's reflection.
        mel = log_mel_spectrogram(heard, n_mels=mels, padding=N_FFT)
        windows.append(pad_or_trim(mel[:, : len(heard) // HOP_LENGTH], N_FRAMES))
    return torch.stack(windows)
