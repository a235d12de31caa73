"""When each word is spoken: Whisper's own cross-attention, followed from left to right."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

from cascade_equivalence.models.openai_whisper import load_openai_whisper

SMOOTHING = 7
"""Frames of the median filter over the attention, as in openai-whisper's word timestamps."""


class Aligner:
    """Finds the encoder frame at which each word of a known text begins.

    The text is fed to Whisper's decoder; the attention of its alignment heads over the encoder's frames says where each
    token is heard, and the best monotonic path through it gives the starts (Whisper's word timestamps, with a path that
    spends at least one frame on each token).

    Args:
        folder: Resolved Whisper folder; its config.json may name the alignment heads, else the upper half of the
            decoder's layers is taken, as openai-whisper does.
    """

    def __init__(self, folder: Path) -> None:
        self.model: Whisper = load_openai_whisper(folder)
        dims = self.model.dims
        self.tokenizer: Tokenizer = get_tokenizer(self.model.is_multilingual, language="en", task="transcribe")
        named = json.loads((folder / "config.json").read_text()).get("alignment_heads")
        upper = range(dims.n_text_layer // 2, dims.n_text_layer)
        self.heads = [tuple(pair) for pair in named or [(at, head) for at in upper for head in range(dims.n_text_head)]]

    @torch.inference_mode()
    def starts(self, states: torch.Tensor, frames: Sequence[int], texts: Sequence[str]) -> list[list[int] | None]:
        """Find the first frame of each word.

        Args:
            states: Encoder states (clips, frames, width), float32.
            frames: Frames of each clip that are sound.
            texts: What is said in each clip.

        Returns:
            For each clip the start frame of each of its space-separated words, and the frame where the last one ends;
            None where the tokenizer's words are not those, or the clip has fewer frames than tokens.
        """
        tokens = [self.tokenizer.encode(f" {text}") for text in texts]
        start = [*self.tokenizer.sot_sequence, self.tokenizer.no_timestamps]
        rows = [[*start, *row, self.tokenizer.eot] for row in tokens]
        attention = self._attention(states, frames, rows)
        found: list[list[int] | None] = []
        for row, own, length, text in zip(tokens, attention, frames, texts, strict=True):
            firsts = [at for at, token in enumerate(row) if at == 0 or self.tokenizer.decode([token]).startswith(" ")]
            if len(firsts) != len(text.split()) or length <= len(row):
                found.append(None)
                continue
            # A token is heard by the position before it, which predicts it; the last position hears the end.
            weights = own[:, len(start) - 1 : len(start) + len(row), :length]
            path = monotonic_path(_salience(weights).double().numpy())
            found.append([int(path[at]) for at in [*firsts, len(row)]])
        return found

    def _attention(self, states: torch.Tensor, frames: Sequence[int], rows: list[list[int]]) -> torch.Tensor:
        """Cross-attention of the alignment heads (clips, heads, tokens, frames)."""
        decoder = self.model.decoder
        longest = max(len(row) for row in rows)
        ids = torch.tensor([row + [self.tokenizer.eot] * (longest - len(row)) for row in rows])
        hidden = decoder.token_embedding(ids) + decoder.positional_embedding[:longest]
        behind = torch.arange(states.shape[1]) >= torch.tensor(frames)[:, None]
        kept: dict[tuple[int, int], torch.Tensor] = {}
        last = max(layer for layer, _ in self.heads)
        for layer, block in enumerate(decoder.blocks[: last + 1]):
            hidden = hidden + block.attn(block.attn_ln(hidden), mask=decoder.mask)[0]
            cross = block.cross_attn
            query, key, value = (
                part.unflatten(-1, (cross.n_head, -1)).transpose(1, 2)
                for part in (cross.query(block.cross_attn_ln(hidden)), cross.key(states), cross.value(states))
            )
            scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
            weights = scores.masked_fill(behind[:, None, None, :], -torch.inf).softmax(-1)
            kept |= {(layer, head): weights[:, head] for at, head in self.heads if at == layer}
            hidden = hidden + cross.out((weights @ value).transpose(1, 2).flatten(2))
            hidden = hidden + block.mlp(block.mlp_ln(hidden))
        return torch.stack([kept[layer, head] for layer, head in self.heads], dim=1)


def _salience(weights: torch.Tensor) -> torch.Tensor:
    """How much each token (rows) is heard in each frame (columns): standardised over tokens, smoothed over frames."""
    deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    scaled = (weights - mean) / deviation.clamp(min=1e-8)
    side = SMOOTHING // 2
    if scaled.shape[-1] > side:
        padded = torch.nn.functional.pad(scaled, (side, side), mode="reflect")
        scaled = padded.unfold(-1, SMOOTHING, 1).median(-1).values
    return scaled.mean(0)


def monotonic_path(salience: np.ndarray) -> np.ndarray:
    """Best assignment of consecutive frames to consecutive tokens.

    Args:
        salience: Gain of spending a frame (columns) on a token (rows), shape (tokens, frames), frames >= tokens.

    Returns:
        First frame of each token, shape (tokens,); the first is 0, and each is later than the one before.
    """
    tokens, frames = salience.shape
    best = np.full(tokens, -np.inf)
    best[0] = salience[0, 0]
    entered = np.zeros((frames, tokens), dtype=bool)
    for frame in range(1, frames):
        moved = np.concatenate([[-np.inf], best[:-1]])
        entered[frame] = moved > best
        best = np.maximum(best, moved) + salience[:, frame]
    starts = np.zeros(tokens, dtype=np.int64)
    token = tokens - 1
    for frame in range(frames - 1, 0, -1):
        if entered[frame, token]:
            starts[token] = frame
            token -= 1
    return starts
