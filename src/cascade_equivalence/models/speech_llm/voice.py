"""What a voice tells beside the words: one vector a piece of sound, added to each vector that stands for its words.

The way around the words in a speech LLM that hears how something is said: statistics over time of the audio tower's
states at every depth, a hidden layer, a vector of the text LLM's width. Weighed by nought it leaves the words alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError
from torch import nn

from cascade_equivalence.config.base import Closed
from cascade_equivalence.errors import StudyError

STATISTICS = 3
"""Numbers a channel: mean over time, spread over time, and mean step from frame to frame."""


class VoiceShape(Closed):
    """Shape of a voice path, as a checkpoint's config.json keeps it under ``voice``."""

    depths: PositiveInt = Field(description="Depths of the audio tower that are read: before its blocks, behind each.")
    hidden: PositiveInt = Field(description="Width of the hidden layer.")
    limit: PositiveFloat | None = Field(
        default=None, description="Longest vector; a longer one is shortened, so that it does not drown the words."
    )


def pooled(depths: Iterable[torch.Tensor], frames: torch.Tensor) -> torch.Tensor:
    """Statistics over time of states at some depths.

    Args:
        depths: States (pieces, frames, width) at each depth.
        frames: Frames of each piece that are sound (pieces,).

    Returns:
        (pieces, depths x 3 x width), float32: of each depth the mean, the standard deviation, and the mean absolute
        difference between neighbouring frames (0 for a single frame). What stands behind a piece's frames is not
        looked at.
    """
    found: list[torch.Tensor] = []
    for states in depths:
        own = states.float()
        within = (torch.arange(own.shape[1], device=own.device) < frames[:, None])[..., None]
        count = frames[:, None].to(own.dtype)
        mean = own.masked_fill(~within, 0).sum(1) / count
        spread = (own - mean[:, None]).masked_fill(~within, 0).square().sum(1) / count
        steps = (own[:, 1:] - own[:, :-1]).abs().masked_fill(~within[:, 1:], 0).sum(1) / (count - 1).clamp(min=1)
        found += [mean, spread.sqrt(), steps]
    return torch.cat(found, dim=-1)


class VoicePath(nn.Module):
    """Maps statistics of a piece of sound to a vector of the text LLM's width.

    Args:
        shape: Sizes.
        encoder_width: Width of the audio tower's states.
        text_width: Width of the text LLM's embeddings.
    """

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, shape: VoiceShape, encoder_width: int, text_width: int) -> None:
        super().__init__()
        self.shape = shape
        features = shape.depths * STATISTICS * encoder_width
        # Of the training clips, so that every number has mean 0 and spread 1 there.
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        # How much of the vectors is added.
        self.scale = 1.0
        self.into = nn.Linear(features, shape.hidden)
        self.out = nn.Linear(shape.hidden, text_width)

    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """The hidden layer (pieces, hidden) for statistics (pieces, features) of :func:`pooled`."""
        scaled = (features.to(self.center.dtype) - self.center) / self.spread
        states: torch.Tensor = nn.functional.gelu(self.into(scaled))
        return states

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The vector (pieces, text width) of each piece."""
        vectors: torch.Tensor = self.out(self.hidden(features))
        if self.shape.limit is not None:
            vectors = vectors * (self.shape.limit / vectors.norm(dim=-1, keepdim=True).clamp(min=self.shape.limit))
        return vectors * self.scale


def build_voice(settings: Mapping[str, Any], encoder_width: int, text_width: int) -> VoicePath:
    """Make a voice path, without weights, from the ``voice`` section of a config.json.

    Raises:
        StudyError: The section is incomplete or of another version.
    """
    try:
        shape = VoiceShape.model_validate(settings)
    except ValidationError as error:
        raise StudyError(f"the checkpoint's `voice` section is not one of this version: {error}") from error
    return VoicePath(shape, encoder_width, text_width)
