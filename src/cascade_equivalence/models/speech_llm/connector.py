"""A connector that speaks the text LLM's own tokens: each output is a mixture of the LLM's token embeddings.

Not Ultravox's projector: larger, with context, and with a vocabulary. Stacked encoder frames pass a few bidirectional
transformer blocks of limited reach; each output attends to the table of the text LLM's token embeddings (and to a
blank); runs of the same token become one vector and blanks are dropped, as in connectionist temporal classification.
What the LLM reads is therefore close to what it reads for words, but soft: where the sound is unclear, between words.
"""

import hashlib
import json
from typing import Any

import torch
from pydantic import Field, PositiveInt, ValidationError
from torch import nn
from transformers import PreTrainedTokenizerBase

from cascade_equivalence.config.base import Closed
from cascade_equivalence.errors import StudyError

KIND = "token-mixture"
EPSILON = 1e-6
ROTARY_BASE = 1_000.0


class ConnectorShape(Closed):
    """Shape of a connector, as its config.json keeps it under ``connector``."""

    kind: str = Field(default=KIND, pattern=f"^{KIND}$", description="Architecture.")
    stack_factor: PositiveInt = Field(description="Encoder frames that become one connector frame.")
    outputs: PositiveInt = Field(description="Outputs of one connector frame.")
    width: PositiveInt = Field(description="Width of the blocks.")
    blocks: int = Field(ge=0, description="Transformer blocks.")
    heads: PositiveInt = Field(description="Attention heads a block.")
    reach: PositiveInt = Field(description="Connector frames that a frame attends to on either side.")
    hidden: PositiveInt = Field(description="Width of the output's SwiGLU.")
    vocabulary: PositiveInt = Field(description="Tokens of the text LLM that the connector can say.")
    tokenizer: str | None = Field(default=None, description="Hash of the text LLM's tokenizer.")


class Gated(nn.Module):
    """SwiGLU: one half of a projection gates the other."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, out, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Map (..., width) to (..., out)."""
        value, gate = self.up(states).chunk(2, dim=-1)
        mapped: torch.Tensor = self.down(nn.functional.silu(gate) * value)
        return mapped


def rotate(states: torch.Tensor) -> torch.Tensor:
    """Rotary positions on (clips, heads, frames, head width), so that only distances count."""
    half = states.shape[-1] // 2
    rate = ROTARY_BASE ** (-torch.arange(half, device=states.device) / half)
    angle = torch.arange(states.shape[-2], device=states.device)[:, None] * rate
    cosine, sine = angle.cos().to(states.dtype), angle.sin().to(states.dtype)
    first, second = states[..., :half], states[..., half:]
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Block(nn.Module):
    """Pre-norm transformer block; it starts as the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(width, EPSILON)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gated_norm = nn.RMSNorm(width, EPSILON)
        self.gated = Gated(width, 2 * width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.gated.down.weight)

    def forward(self, states: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """Map (clips, frames, width); ``allowed`` (clips, 1, frames, frames) says what a frame may attend to."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.query_key_value(self.attention_norm(states)).chunk(3, dim=-1)
        )
        # Written out: the fused kernel's backward pass is the slowest part of a step on a processor.
        scores = rotate(query) @ rotate(key).transpose(-1, -2) / query.shape[-1] ** 0.5
        weights = scores.float().masked_fill(~allowed, torch.finfo(torch.float32).min).softmax(-1)
        states = states + self.out((weights.to(value.dtype) @ value).transpose(1, 2).flatten(2))
        mapped: torch.Tensor = states + self.gated(self.gated_norm(states))
        return mapped


class TokenMixtureConnector(nn.Module):
    """See the module.

    Args:
        shape: Sizes.
        encoder_width: Width of the audio tower's states.
        text_width: Width of the text LLM's embeddings.
    """

    leading_space = True
    tokens: torch.Tensor
    table: torch.Tensor
    directions: torch.Tensor

    def __init__(self, shape: ConnectorShape, encoder_width: int, text_width: int) -> None:
        super().__init__()
        self.shape = shape
        stacked = encoder_width * shape.stack_factor
        self.stem_norm = nn.RMSNorm(stacked, EPSILON)
        self.stem = nn.Linear(stacked, shape.width)
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.blocks))
        self.split = nn.Linear(shape.width, shape.outputs * shape.width)
        self.out_norm = nn.RMSNorm(shape.width, EPSILON)
        self.out = Gated(shape.width, shape.hidden, text_width)
        self.blank = nn.Parameter(torch.randn(text_width) * 0.02)
        self.blank_bias = nn.Parameter(torch.tensor(-4.0))
        self.sharpness = nn.Parameter(torch.tensor(2.7))
        # The second stage finds how far the text LLM wants mixtures sharpened.
        self.focus = nn.Parameter(torch.tensor(0.7))
        self.register_buffer("tokens", torch.zeros(shape.vocabulary, dtype=torch.int32))
        self.register_buffer("table", torch.zeros(0), persistent=False)
        self.register_buffer("directions", torch.zeros(0), persistent=False)

    def attach(self, embeddings: torch.Tensor) -> None:
        """Give the connector the text LLM's input embeddings (vocabulary, text width), which its file does not repeat.

        Raises:
            StudyError: They are not those of the text LLM that the connector was made for.
        """
        width, largest = self.blank.shape[0], int(self.tokens.max())
        if embeddings.shape[1] != width or embeddings.shape[0] <= largest:
            raise StudyError(
                f"the connector was made for a text model of width {width} with more than {largest} tokens, the given "
                f"one has width {embeddings.shape[1]} and {embeddings.shape[0]} tokens: name that text model"
            )
        self.table = embeddings[self.tokens.long()].detach().float().to(self.blank.device)
        self.directions = nn.functional.normalize(self.table - self.table.mean(0), dim=-1)

    def scores(
        self, states: torch.Tensor, encoder_frames: torch.Tensor, classes: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Score tokens for every output.

        Args:
            states: Encoder states (clips, frames, width).
            encoder_frames: Frames of each clip that are sound (clips,).
            classes: Classes to score, in training; by default the whole vocabulary.

        Returns:
            Logits (clips, outputs, classes + 1), the blank last, and each clip's number of outputs.
        """
        behind = torch.arange(states.shape[1], device=states.device) >= encoder_frames[:, None]
        states = states.masked_fill(behind[..., None], 0)
        states = nn.functional.pad(states, (0, 0, 0, -states.shape[1] % self.shape.stack_factor))
        stacked = states.unflatten(1, (-1, self.shape.stack_factor)).flatten(2)
        hidden = self.stem(self.stem_norm(stacked))
        count = -(-encoder_frames // self.shape.stack_factor)
        at = torch.arange(hidden.shape[1], device=hidden.device)
        near = (at[:, None] - at).abs() <= self.shape.reach
        allowed = (near & (at < count[:, None])[:, None, :])[:, None]
        # A frame behind the clip attends to something, so that no row of weights is empty.
        allowed = allowed | torch.eye(len(at), dtype=torch.bool, device=hidden.device)
        for block in self.blocks:
            hidden = block(hidden, allowed)
        split = self.split(hidden).unflatten(-1, (self.shape.outputs, -1)).flatten(1, 2)
        direction = nn.functional.normalize(self.out(self.out_norm(split)).float(), dim=-1)
        table = self.directions if classes is None else self.directions[classes]
        words = nn.functional.linear(direction, table)
        blank = direction @ self.blank.float() + self.blank_bias.float()
        logits = torch.cat([words.float() * self.sharpness.float().exp(), blank[..., None]], dim=-1)
        return logits, count * self.shape.outputs

    def mix(self, logits: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Turn scores into vectors: runs of the same best token become one, blanks none.

        Args:
            logits: From :meth:`scores`.
            counts: Outputs of each clip.

        Returns:
            Vectors (clips, longest, text width), how many each clip has (at least one), and each one's best token as a
            class (clips, longest); behind a clip's own they mean nothing.
        """
        best = logits.detach().argmax(-1)
        blank = self.shape.vocabulary
        within = torch.arange(best.shape[1], device=best.device) < counts[:, None]
        kept = within & (best != blank)
        # A clip that says nothing keeps its first output.
        kept[:, 0] |= ~kept.any(1)
        before = nn.functional.pad(best[:, :-1], (1, 0), value=-1)
        gap = nn.functional.pad(~kept[:, :-1], (1, 0), value=True)
        starts = kept & ((best != before) | gap)
        run = starts.cumsum(1) - 1
        runs = run.max(1).values + 1
        longest = int(runs.max())
        # Most outputs are blank: what is not kept is not mixed.
        clip, output = kept.nonzero(as_tuple=True)
        words = (logits[clip, output, :blank] * self.focus.float().exp()).softmax(-1)
        vectors = words.to(self.table.dtype) @ self.table
        place = clip * longest + run[clip, output]
        weight = vectors.new_zeros(len(best) * longest).index_add(0, place, torch.ones_like(vectors[:, 0]))
        total = vectors.new_zeros(len(best) * longest, vectors.shape[-1]).index_add(0, place, vectors)
        mean = (total / weight.clamp(min=1)[:, None]).unflatten(0, (-1, longest))
        classes = best.new_zeros(len(best) * longest).index_copy(0, place, best[clip, output])
        return mean, runs, classes.unflatten(0, (-1, longest))

    def forward(self, states: torch.Tensor, encoder_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map encoder states (clips, frames, width) to vectors (clips, longest, text width) and their numbers."""
        logits, counts = self.scores(states, encoder_frames)
        vectors, runs, _ = self.mix(logits, counts)
        return vectors, runs


def build(settings: dict[str, Any], encoder_width: int, text_width: int) -> TokenMixtureConnector:
    """Make a connector, without weights, from the ``connector`` section of a config.json.

    Raises:
        StudyError: The section is of another kind, or incomplete.
    """
    try:
        shape = ConnectorShape.model_validate(settings)
    except ValidationError as error:
        raise StudyError(f"the checkpoint's `connector` section is not one of this version: {error}") from error
    return TokenMixtureConnector(shape, encoder_width, text_width)


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over the tokens of a tokenizer in the order of their ids."""
    names = sorted(tokenizer.get_vocab().items(), key=lambda pair: (pair[1], pair[0]))
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()
