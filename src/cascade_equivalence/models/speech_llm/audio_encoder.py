"""Waveforms to vectors that stand for words in a text LLM's input: audio tower, then connector."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import nn

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.speech_llm.audio_tower import AudioTower, encoder_frames
from cascade_equivalence.models.speech_llm.mel import batch_mels, log_mel
from cascade_equivalence.models.speech_llm.projector import UltravoxProjector
from cascade_equivalence.models.speech_llm.settings import UltravoxSettings
from cascade_equivalence.models.speech_llm.voice import VoicePath, pooled

SAMPLE_RATE = 16_000
STEP = 50
"""Mel frames (half a second) that pieces are filled up to multiples of, since each new shape takes memory for good."""
MAX_SECONDS = 600
"""Longest clip. One of ten minutes is already 3750 vectors in Ultravox, more than most prompts have words."""


def build_connector(settings: UltravoxSettings, encoder_width: int, text_width: int) -> nn.Module:
    """Make the connector that a config names, without its trained weights.

    Args:
        settings: The config.
        encoder_width: Width of the audio tower's states.
        text_width: Width of the text LLM's embeddings.

    Returns:
        A module that maps states (pieces, frames, encoder width) and frames (pieces,) to vectors (pieces, most,
        text width) and how many each piece has (pieces,).

    Raises:
        StudyError: The connector's own section is wrong.
    """
    if settings.connector is None:
        return UltravoxProjector(
            encoder_width,
            text_width,
            settings.hidden_size,
            settings.stack_factor,
            settings.norm_init,
            settings.projector_ln_mid,
        )
    from cascade_equivalence.models.speech_llm import connector

    return connector.build(settings.connector, encoder_width, text_width)


def check_audio(audio: np.ndarray, name: str) -> None:
    """Refuse what is not one channel of sound at 16 kHz, as far as an array shows.

    Args:
        audio: The waveform.
        name: What to call it in a message.

    Raises:
        StudyError: It is not a one-dimensional array of finite floating-point numbers, is empty or too long.
    """
    if not isinstance(audio, np.ndarray) or not np.issubdtype(audio.dtype, np.floating):
        kind = audio.dtype if isinstance(audio, np.ndarray) else type(audio).__name__
        raise StudyError(f"{name} is {kind}, not an array of floating-point numbers: scale it to -1 ... 1 first")
    if audio.ndim != 1:
        raise StudyError(f"{name} has shape {audio.shape}, not one channel: mix its channels to mono first")
    if not len(audio):
        raise StudyError(f"{name} is empty: leave it out")
    if len(audio) > MAX_SECONDS * SAMPLE_RATE:
        raise StudyError(f"{name} lasts {len(audio) / SAMPLE_RATE:.0f} s, longer than {MAX_SECONDS} s: cut it")
    if not np.isfinite(audio).all():
        raise StudyError(f"{name} holds values that are not finite numbers: repair or leave out its file")


class AudioEncoder(nn.Module):
    """The audio part of a speech LLM, with the checkpoint keys of Ultravox.

    A clip longer than the tower takes (30 s) is cut into consecutive pieces, which are encoded one by one and joined.
    A clip's result does not depend on the clips beside it but for rounding.

    Weights and arithmetic have one dtype, as in Ultravox; spectrograms and norms are computed in float32.

    Args:
        audio_tower: The encoder.
        multi_modal_projector: The connector, see :func:`build_connector`.
        voice: What carries the voice around the words, if anything does: its vector is added to each of a piece's.
    """

    def __init__(
        self, audio_tower: AudioTower, multi_modal_projector: nn.Module, voice: VoicePath | None = None
    ) -> None:
        super().__init__()
        self.audio_tower = audio_tower
        self.multi_modal_projector = multi_modal_projector
        self.voice = voice

    @torch.inference_mode()
    def embed(self, audios: Sequence[np.ndarray], batch_size: int = 16) -> list[torch.Tensor]:
        """Compute the vectors that a text LLM reads for each clip.

        Args:
            audios: Waveforms at 16 kHz, one channel, floating-point.
            batch_size: Pieces of at most 30 s at once.

        Returns:
            For each clip, in order, a tensor (vectors, text width) in the model's dtype on its device.

        Raises:
            StudyError: A clip is not such a waveform; see :func:`check_audio`.
        """
        found: list[list[torch.Tensor]] = [[] for _ in audios]
        for owner, words, statistics in self._heard(audios, batch_size):
            told = None if self.voice is None else self.voice(statistics[None])
            found[owner].append(words if told is None else words + told.to(words.dtype))
        return [torch.cat(parts) for parts in found]

    @torch.no_grad()
    def words_and_voice(
        self, audios: Sequence[np.ndarray], batch_size: int = 16
    ) -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
        """What is there to be heard of each clip, as the training of a voice path needs it.

        Args:
            audios: As for :meth:`embed`.
            batch_size: As for :meth:`embed`.

        Returns:
            For each clip, in order, its pieces: the connector's vectors (vectors, text width) without the voice, and
            the statistics (features,) that a voice path takes.
        """
        found: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in audios]
        for owner, words, statistics in self._heard(audios, batch_size, voice=True):
            found[owner].append((words, statistics))
        return found

    def _heard(
        self, audios: Sequence[np.ndarray], batch_size: int, voice: bool = False
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Pieces: the clip of each, the connector's vectors, and statistics (features,), none where nobody asks."""
        voice = voice or self.voice is not None
        for owners, states, frames, statistics in self._encoded(audios, batch_size, voice):
            tokens, counts = self.multi_modal_projector(states, frames)
            for owner, row, count, own in zip(owners, tokens, counts.tolist(), statistics, strict=True):
                yield owner, row[:count], own

    @torch.no_grad()
    def encode(self, audios: Sequence[np.ndarray], batch_size: int = 16) -> list[torch.Tensor]:
        """Compute the audio tower's states, as a connector's training needs them.

        Args:
            audios: As for :meth:`embed`.
            batch_size: As for :meth:`embed`.

        Returns:
            For each clip, in order, a tensor (encoder frames, width), 20 ms a frame. The pieces of a clip longer than
            30 s follow each other; a connector takes them one by one.

        Raises:
            StudyError: As for :meth:`embed`.
        """
        found: list[list[torch.Tensor]] = [[] for _ in audios]
        for owners, states, frames, _ in self._encoded(audios, batch_size):
            for owner, row, count in zip(owners, states, frames.tolist(), strict=True):
                found[owner].append(row[:count])
        return [torch.cat(parts) for parts in found]

    def _encoded(
        self, audios: Sequence[np.ndarray], batch_size: int, voice: bool = False
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Batches of pieces: the clip of each, states (pieces, frames, width), frames (pieces,), and statistics."""
        for index, audio in enumerate(audios):
            check_audio(audio, f"clip {index + 1} of {len(audios)}")
        dtype = self.audio_tower.conv1.weight.dtype
        pieces = self._pieces(audios)
        while batch := list(islice(pieces, batch_size)):
            owners, mels = zip(*batch, strict=True)
            mel_frames = torch.tensor([mel.shape[1] for mel in mels], device=mels[0].device)
            whole = -(-max(mel.shape[1] for mel in mels) // STEP) * STEP
            sound, frames = batch_mels(mels, min(whole, self.audio_tower.longest)).to(dtype), encoder_frames(mel_frames)
            if voice:
                depths = list(self.audio_tower.depths(sound, mel_frames))
                yield list(owners), self.audio_tower.layer_norm(depths[-1]), frames, pooled(depths, frames)
            else:
                # A state of each depth at once would not fit for the large towers.
                yield list(owners), self.audio_tower(sound, mel_frames), frames, sound.new_zeros(len(owners), 0)

    def _pieces(self, audios: Sequence[np.ndarray]) -> Iterator[tuple[int, torch.Tensor]]:
        """Each clip's spectrograms, those of a clip in order; longest clips first, so that batches waste little."""
        device = self.audio_tower.conv1.weight.device
        for index in sorted(range(len(audios)), key=lambda index: len(audios[index]), reverse=True):
            mel = log_mel(audios[index], self.audio_tower.num_mel_bins, device)
            for piece in mel.split(self.audio_tower.longest, dim=1):
                yield index, piece
