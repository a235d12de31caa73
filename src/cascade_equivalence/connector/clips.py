"""Training clips in memory, and batches of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from cascade_equivalence.connector.labels import UNKNOWN, Spelling, output_labels, spell
from cascade_equivalence.connector.shards import EncodedClip, read_shard

BUCKET = 16
"""Batches that are drawn together and sorted by length, so that clips of a batch have about the same."""


@dataclass(frozen=True)
class TrainingClip:
    """A clip with its text in tokens.

    Attributes:
        utterance: States, text and word starts.
        spelling: The text in the text LLM's tokens, with a space before its first word.
    """

    utterance: EncodedClip
    spelling: Spelling

    @property
    def frames(self) -> int:
        """Encoder frames."""
        return len(self.utterance.states)


@dataclass(frozen=True)
class Batch:
    """Clips side by side.

    Attributes:
        states: Encoder states (clips, frames, width), float32, zero behind a clip.
        frames: Encoder frames of each clip.
        labels: Class of each output (clips, outputs), ``UNKNOWN`` where there is none.
        targets: Class sequence of each clip; empty where a token has no class.
        texts: What is said.
    """

    states: torch.Tensor
    frames: torch.Tensor
    labels: torch.Tensor
    targets: list[list[int]]
    texts: list[str]


@dataclass(frozen=True)
class Sampled:
    """A batch's labels among some of the classes: those that occur, and others drawn at random.

    Attributes:
        classes: The classes (n,).
        correction: What to add to their logits, so that the drawn ones stand for all that do not occur.
        labels: Place of each output's class in ``classes``.
        targets: Places of each clip's class sequence.
    """

    classes: torch.Tensor
    correction: torch.Tensor
    labels: torch.Tensor
    targets: list[list[int]]


def sample_classes(batch: Batch, vocabulary: int, drawn: int, generator: torch.Generator) -> Sampled:
    """Take the classes that occur in a batch and draw others, each with the same probability.

    The sum over all classes in a softmax is then estimated without bias, from a fraction of the terms.

    Args:
        batch: The batch.
        vocabulary: Number of classes.
        drawn: How many others to draw at most.
        generator: Decides which.
    """
    spoken = torch.tensor([*chain.from_iterable(batch.targets)], dtype=torch.long)
    used = torch.unique(torch.cat([batch.labels[batch.labels != UNKNOWN], spoken]))
    free = torch.ones(vocabulary, dtype=torch.bool)
    free[used] = False
    others = free.nonzero()[:, 0]
    others = others[torch.randperm(len(others), generator=generator)[:drawn]]
    missing = vocabulary - len(used)
    correction = torch.zeros(len(used) + len(others))
    if len(others):
        correction[len(used) :] = float(np.log(missing / len(others)))
    place = torch.full((vocabulary,), UNKNOWN)
    place[used] = torch.arange(len(used))
    labels = torch.where(batch.labels == UNKNOWN, UNKNOWN, place[batch.labels.clamp(min=0)])
    targets = [place[torch.tensor(row, dtype=torch.long)].tolist() for row in batch.targets]
    return Sampled(torch.cat([used, others]), correction, labels, targets)


def load_clips(shards: Sequence[Path], tokenizer: PreTrainedTokenizerBase) -> list[TrainingClip]:
    """Read shards and spell their texts."""
    return [
        TrainingClip(utterance, spell(tokenizer, f" {utterance.text}"))
        for path in shards
        for utterance in read_shard(path)
    ]


def vocabulary(clips: Sequence[TrainingClip], least: int) -> list[int]:
    """Tokens that occur at least a number of times, sorted."""
    tokens, counts = np.unique(np.concatenate([clip.spelling.tokens for clip in clips]), return_counts=True)
    return [int(token) for token in tokens[counts >= least]]


class Batcher:
    """Makes batches of clips for a connector.

    Args:
        tokens: Token id of each class.
        stack_factor: Encoder frames of one connector frame.
        outputs: Outputs of one connector frame.
    """

    def __init__(self, tokens: Sequence[int], stack_factor: int, outputs: int) -> None:
        self.classes = {token: index for index, token in enumerate(tokens)}
        self.stack_factor = stack_factor
        self.outputs = outputs

    def batch(self, clips: Sequence[TrainingClip]) -> Batch:
        """Put clips side by side."""
        frames = torch.tensor([clip.frames for clip in clips])
        longest = int(frames.max())
        states = torch.zeros(len(clips), longest, clips[0].utterance.states.shape[1])
        labels = torch.full((len(clips), -(-longest // self.stack_factor) * self.outputs), UNKNOWN)
        targets = []
        for row, clip in enumerate(clips):
            states[row, : clip.frames] = torch.from_numpy(clip.utterance.states).float()
            count = -(-clip.frames // self.stack_factor) * self.outputs
            spoken = output_labels(clip.spelling, clip.utterance.starts, count, self.stack_factor / self.outputs)
            labels[row, :count] = torch.tensor([self.classes.get(int(token), UNKNOWN) for token in spoken])
            known = all(token in self.classes for token in clip.spelling.tokens)
            targets.append([self.classes[token] for token in clip.spelling.tokens] if known else [])
        return Batch(states, frames, labels, targets, [clip.utterance.text for clip in clips])

    def epochs(self, clips: Sequence[TrainingClip], size: int, seed: int) -> Iterator[list[int]]:
        """Yield batches of clip indices without end: every clip once an epoch, neighbours in length together.

        The order depends on the seed alone, so that a run that goes on after an interruption sees the same batches.
        """
        rng = np.random.default_rng(seed)
        lengths = np.array([clip.frames for clip in clips])
        while True:
            order = rng.permutation(len(clips))
            batches = []
            for start in range(0, len(order), size * BUCKET):
                some = order[start : start + size * BUCKET]
                some = some[np.argsort(lengths[some], kind="stable")]
                batches += [some[first : first + size].tolist() for first in range(0, len(some), size)]
            yield from (batches[index] for index in rng.permutation(len(batches)))
