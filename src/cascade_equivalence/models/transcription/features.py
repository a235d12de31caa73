"""Whisper's input: the log-mel spectrogram of a window, of 30 s unless another is asked for."""

from collections.abc import Sequence

import numpy as np
import torch
from whisper.audio import FRAMES_PER_SECOND, HOP_LENGTH, N_FFT, N_SAMPLES, log_mel_spectrogram, pad_or_trim

from cascade_equivalence.models.transcription.windows import WHOLE


def window(audio: Sequence[np.ndarray], mels: int, seconds: float = WHOLE) -> torch.Tensor:
    """Compute the windows of a batch the way ``whisper.transcribe`` does.

    The sound is cut at the window's end; behind the sound the SPECTROGRAM is zero. (``pad_or_trim`` on the waveform
    would put the spectrogram of silence there instead, and change about one transcript in seven.)

    Args:
        audio: Waveforms at 16 kHz, float32.
        mels: Mel bands of the model, 80 or 128.
        seconds: Length of the window.

    Returns:
        Float32 tensor (clips, mels, frames), 100 frames a second: 3000 of a whole window.
    """
    frames = round(seconds * FRAMES_PER_SECOND)
    windows = []
    for clip in audio:
        heard = clip[:N_SAMPLES]
        # Some silence behind the sound keeps its last frames free of the Fourier transform's reflection.
        mel = log_mel_spectrogram(heard, n_mels=mels, padding=N_FFT)
        windows.append(pad_or_trim(mel[:, : len(heard) // HOP_LENGTH], frames))
    return torch.stack(windows)
