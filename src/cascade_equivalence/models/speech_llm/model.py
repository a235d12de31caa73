"""A speech LLM ready to answer: sound and prompt in, text out, and the text LLM inside open to inspection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import architecture_in, check_files, check_own_text
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

PLACEHOLDER = AUDIO_PLACEHOLDER
"""Stands in a rendered prompt where the sound belongs."""


@dataclass(frozen=True)
class Capabilities:
    """What a speech model lets one see.

    Attributes:
        hidden_states: Its blocks, final norm and unembedding can be reached.
        log_likelihoods: It can score a given answer (forced choice).
    """

    hidden_states: bool
    log_likelihoods: bool


class SpeechModel(Protocol):
    """What every speech model can do; an answer is ``text.generate(*rows(...))``."""

    @property
    def capabilities(self) -> Capabilities:
        """What it lets one see."""

    @property
    def text(self) -> TextLLM:
        """The text LLM inside: renders prompts, generates, scores."""

    @property
    def encoder(self) -> "AudioToVectors":
        """Turns sound into vectors."""

    def rows(self, prompts: Sequence[str], audio: Sequence[np.ndarray]) -> tuple[list[list[int]], list[torch.Tensor]]:
        """Turn rendered prompts and their sound into token rows and the vectors of each row's sound."""

    def token_rows(self, prompts: Sequence[str], heard: Sequence[torch.Tensor]) -> list[list[int]]:
        """Token rows of rendered prompts whose sound was heard already."""


class AudioToVectors(Protocol):
    """Turns sound into what the text LLM reads."""

    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """Vectors (tokens, text width) of each waveform (16 kHz, float32, shape (n,))."""


class SpeechLLM:
    """An audio encoder before a text LLM.

    Args:
        encoder: Turns sound into vectors of the text LLM's width.
        text: The text LLM.
        leading_space: Whether the vectors carry the space before the first word, so that the prompt must not.
    """

    capabilities = Capabilities(hidden_states=True, log_likelihoods=True)

    def __init__(self, encoder: AudioToVectors, text: TextLLM, leading_space: bool = False) -> None:
        self.encoder = encoder
        self.text = text
        self.leading_space = leading_space

    def rows(self, prompts: Sequence[str], audio: Sequence[np.ndarray]) -> tuple[list[list[int]], list[torch.Tensor]]:
        """Turn rendered prompts and their sound into what the text LLM's ``generate`` takes.

        Args:
            prompts: Rendered prompts, each with one ``PLACEHOLDER``.
            audio: The waveform of each prompt, 16 kHz, float32, shape (n,).

        Returns:
            Token rows, in which ``AUDIO`` stands once for each vector of the sound, and the vectors of each row.

        Raises:
            StudyError: A prompt does not hold the placeholder once, or a waveform cannot be heard.
        """
        heard = self.encoder.embed(audio)
        return self.token_rows(prompts, heard), heard

    def token_rows(self, prompts: Sequence[str], heard: Sequence[torch.Tensor]) -> list[list[int]]:
        """Token rows of rendered prompts, as :meth:`rows` gives them, whose sound was heard already.

        Args:
            prompts: As for :meth:`rows`.
            heard: The vectors (vectors, text width) of each prompt's sound.
        """
        return [self._row(prompt, len(vectors)) for prompt, vectors in zip(prompts, heard, strict=True)]

    def _row(self, prompt: str, vectors: int) -> list[int]:
        before, after = self._around(prompt)
        if self.leading_space:
            before = before.removesuffix(" ")
        return [*self.text.tokenize(before), *[AUDIO] * vectors, *self.text.tokenize(after)]

    def _around(self, prompt: str) -> tuple[str, str]:
        """What stands in a rendered prompt before and behind the sound."""
        parts = prompt.split(PLACEHOLDER)
        if len(parts) != 2:  # noqa: PLR2004
            raise StudyError(
                f"a prompt must hold {PLACEHOLDER} once, where the sound belongs, and holds it {len(parts) - 1} times"
            )
        return parts[0], parts[1]

    def audio_positions(self, row: Sequence[int]) -> list[int]:
        """Positions of a token row that are sound."""
        return [position for position, token in enumerate(row) if token == AUDIO]

    @property
    def typed(self) -> TextLLM:
        """The text LLM as it reads typed prompts: what an own-weights cascade types its transcript into."""
        return self.text

    @property
    def blocks(self) -> list[nn.Module]:
        """The text LLM's transformer blocks, first to last; layer l is the output of block l."""
        return list(self._decoder.layers)

    @property
    def final_norm(self) -> nn.Module:
        """The norm behind the last block."""
        norm: nn.Module = self._decoder.norm
        return norm

    @property
    def unembedding(self) -> nn.Module:
        """From normed states to logits."""
        head: nn.Module = self.text.model.get_output_embeddings()
        return head

    @property
    def _decoder(self) -> Any:
        return self.text.model.get_decoder()


def open_speech_llm(files: SpeechFiles, text: TextLLM, device: str, dtype: torch.dtype) -> SpeechLLM:
    """Load a speech LLM around a text LLM.

    Raises:
        StudyError: The checkpoint is incomplete, of an architecture that cannot be opened, or was made for another
            text LLM.
    """
    architecture = architecture_in(files.folder)
    if architecture.own_text is not None:
        check_own_text(text, files.folder)
    check_files(architecture, files.folder)
    return architecture.open(files, text, device, dtype)
