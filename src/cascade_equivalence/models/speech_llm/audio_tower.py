"""Whisper's encoder on sound of any length up to 30 s, as Ultravox uses it: padding is not needed nor attended to."""

from collections.abc import Iterator

import torch
from torch import nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from cascade_equivalence.errors import StudyError

MEL_STRIDE = 2
"""Mel frames an encoder frame: the second convolution takes every other one."""


def encoder_frames(mel_frames: torch.Tensor) -> torch.Tensor:
    """Encoder frames (20 ms each) that mel frames (10 ms each) become."""
    return (mel_frames - 1) // MEL_STRIDE + 1


class AudioTower(WhisperEncoder):
    """A Whisper encoder with the checkpoint keys of the transformers library.

    A piece's states are those it has by itself, whatever else is in its batch: padding frames are zero before each
    convolution, as the convolutions' own padding is, and are masked as keys. (Ultravox's published code masks the keys
    only, so that there the last frames of a piece of odd length depend a little on its batch; for a piece by itself
    both give the same.)

    Args:
        config: Shape of the encoder.
        latency_block: Encoder frames of a block of the streaming (block-causal) mask; None attends to the whole piece.
    """

    def __init__(self, config: WhisperConfig, latency_block: int | None = None) -> None:
        super().__init__(config)
        self.latency_block = latency_block

    @property
    def longest(self) -> int:
        """Mel frames of the longest piece, 3000 (30 s) for every published Whisper."""
        return MEL_STRIDE * int(self.max_source_positions)

    def forward(self, mel: torch.Tensor, mel_frames: torch.Tensor) -> torch.Tensor:
        """Encode a batch of spectrograms.

        Args:
            mel: Log-mel spectrograms (pieces, mels, frames), at most ``longest`` frames.
            mel_frames: Frames of each piece that are sound (pieces,); what stands behind them is not looked at.

        Returns:
            States (pieces, encoder frames, width); behind a piece's ``encoder_frames`` they mean nothing.

        Raises:
            StudyError: A piece is longer than the encoder's positions.
        """
        for states in self.depths(mel, mel_frames):
            last = states
        normed: torch.Tensor = self.layer_norm(last)
        return normed

    def depths(self, mel: torch.Tensor, mel_frames: torch.Tensor) -> Iterator[torch.Tensor]:
        """States before the first block and behind each, as :meth:`forward` comes by them.

        Args:
            mel: As for :meth:`forward`.
            mel_frames: As for :meth:`forward`.

        Yields:
            States (pieces, encoder frames, width), without the final norm; behind a piece's ``encoder_frames`` they
            mean nothing.

        Raises:
            StudyError: A piece is longer than the encoder's positions.
        """
        if mel.shape[-1] > self.longest:
            raise StudyError(f"the audio tower takes at most {self.longest} mel frames, not {mel.shape[-1]}: cut it")
        mel_frames = mel_frames.to(mel.device)
        padding = (torch.arange(mel.shape[-1], device=mel.device) >= mel_frames[:, None])[:, None]
        states = nn.functional.gelu(self.conv1(mel.masked_fill(padding, 0))).masked_fill(padding, 0)
        states = nn.functional.gelu(self.conv2(states)).transpose(1, 2)
        states = states + self.embed_positions.weight[: states.shape[1]]
        mask = self._mask(states, encoder_frames(mel_frames))
        yield states
        for layer in self.layers:
            states = layer(states, mask)
            yield states

    def _mask(self, states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Additive mask (pieces, 1, 1 or queries, keys)."""
        at = torch.arange(states.shape[1], device=states.device)
        allowed = (at < frames[:, None])[:, None, None, :]
        if self.latency_block is not None:
            block = at // self.latency_block
            allowed = allowed & (block[None, :] <= block[:, None])
        lowest = torch.finfo(states.dtype).min
        return torch.zeros(allowed.shape, dtype=states.dtype, device=states.device).masked_fill(~allowed, lowest)
