"""The CTC probe: a linear map of each frame to characters, trained with connectionist temporal classification.

Probes that see the same frames are trained side by side, so that the frames are read from disk once for all of them. In
training, a frame is standardised and divided by the square root of its width, so that a learning rate means about the
same at any width, and the bias starts at the classes' shares, which is about the best that can be said without a frame.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn import functional

from cascade_equivalence.config.mechanism import CtcConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.mechanism.characters import Alphabet, feasible
from cascade_equivalence.mechanism.states import States

FRAMES_AT_ONCE = 4096
"""Frames in memory at once, in float32; an utterance is never split."""
MARGIN = 1e-3
"""A validation loss counts as better if it is smaller by this share."""
MOST_SAID = 0.9
"""Largest share of outputs that the first bias takes for characters; the rest is left to the blank."""
CONSTANT = 1e-6
"""A standard deviation this small against the mean is rounding: the column counts as constant."""


@dataclass(frozen=True)
class CtcProbe:
    """A trained probe.

    Attributes:
        weight: For raw states, (upsample * classes, width), float32; the classes of the first sub-frame come first, and
            among the classes the blank comes last.
        bias: (upsample * classes,).
        alphabet: Characters, in the order of their classes.
        upsample: Outputs of a frame.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    alphabet: str
    upsample: int

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Scores (frames * upsample, classes) of states (frames, width)."""
        scores = functional.linear(states.to(self.weight), self.weight, self.bias)
        return scores.reshape(-1, len(self.alphabet) + 1)

    def labels(self, states: torch.Tensor) -> torch.Tensor:
        """Best class of each frame (frames,) for states (frames, width); that of its first sub-frame."""
        return self.logits(states).argmax(1)[:: self.upsample]

    def decode(self, states: torch.Tensor) -> str:
        """Text of one utterance's states (frames, width), decoded greedily."""
        return Alphabet(self.alphabet).spell(self.logits(states).argmax(1).tolist())

    def write(self, path: Path, about: Mapping[str, str]) -> None:
        """Write the probe to a safetensors file, whole or not at all.

        Args:
            path: The file.
            about: What else its metadata says, beside the alphabet and the outputs of a frame.
        """
        # The library writes the keys of the metadata in any order; within one key, equal probes make equal files.
        metadata = {"probe": json.dumps({**about, "alphabet": self.alphabet, "upsample": self.upsample})}
        with replacing(path) as part:
            save_file({"weight": self.weight, "bias": self.bias}, part, metadata=metadata)


def read_ctc_probe(path: Path) -> CtcProbe:
    """Read a probe that :meth:`CtcProbe.write` wrote.

    Raises:
        StudyError: The file is missing, damaged or none of a probe.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["probe"])
            return CtcProbe(file.get_tensor("weight"), file.get_tensor("bias"), about["alphabet"], about["upsample"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StudyError(f"{path} is no CTC probe ({error}): remove it and run again") from error


class StoredFrames:
    """Frames of utterances on disk.

    Args:
        states: States of a layer.
        index: Their index.
    """

    def __init__(self, states: States, index: pl.DataFrame) -> None:
        self.states = states
        self.starts = index["start"].to_list()
        self.counts = index["frames"].to_list()

    def pieces(self, places: Sequence[int]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Utterances, given by their places in the index, in parts that fit into memory, and their joined frames."""
        while places:
            taken = max(1, int(np.searchsorted(np.cumsum([self.counts[p] for p in places]), FRAMES_AT_ONCE, "right")))
            part, places = list(places[:taken]), places[taken:]
            counts = [self.counts[place] for place in part]
            joined = torch.empty(sum(counts), self.states.width)
            for place, piece in zip(part, joined.split(counts), strict=True):
                piece.copy_(self.states.part(self.starts[place], self.starts[place] + self.counts[place]))
            yield part, joined

    def moments(self, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation (width,) of utterances' frames, float64; 0 where they are constant."""
        sums = torch.zeros(2, self.states.width, dtype=torch.float64)
        for _, joined in self.pieces(places):
            double = joined.double()
            sums += torch.stack([double.sum(0), double.square().sum(0)])
        mean, squares = sums / max(1, sum(self.counts[place] for place in places))
        spread = (squares - mean.square()).clamp(min=0).sqrt()
        return mean, torch.where(spread > CONSTANT * mean.abs(), spread, 0.0)


@dataclass(frozen=True)
class Lesson:
    """What a probe is taught: labels to say for each place of the index, and whether it sees the states or nothing."""

    labels: Sequence[Sequence[int]]
    hears: bool = True


@dataclass(frozen=True)
class Taught:
    """What came of a lesson.

    Attributes:
        probe: The probe with the lowest validation loss.
        epochs: Epochs run.
        reason: Why nothing could be learnt, None where it could; then the probe says nothing but blanks.
    """

    probe: CtcProbe
    epochs: int
    reason: str | None


class _Pupil:
    """A probe in training: its parameters on scaled frames, and the best that it has been."""

    def __init__(
        self,
        lesson: Lesson,
        frames: StoredFrames,
        train: Sequence[int],
        validation: Sequence[int],
        alphabet: Alphabet,
        config: CtcConfig,
    ) -> None:
        self.lesson, self.classes, self.patience = lesson, alphabet.blank + 1, config.patience
        self.train, held_out = (
            {place for place in part if feasible(frames.counts[place], config.upsample, lesson.labels[place])}
            for part in (train, validation)
        )
        self.validation = held_out or self.train
        said = Counter(label for place in self.train for label in lesson.labels[place])
        outputs = config.upsample * sum(frames.counts[place] for place in self.train)
        share = min(MOST_SAID, said.total() / max(outputs, 1))
        # Half a character more of each, so that one that is never said has a share.
        counts = torch.tensor([said[label] + 0.5 for label in range(alphabet.blank)])
        shares = torch.cat([share * counts / counts.sum(), torch.tensor([1 - share])])
        self.bias = shares.log().repeat(config.upsample).requires_grad_()
        self.weight = torch.zeros(len(self.bias), frames.states.width).requires_grad_()
        self.best = (self.weight.detach().clone(), self.bias.detach().clone())
        self.loss, self.waited, self.epochs = math.inf, 0, 0

    @property
    def learns(self) -> bool:
        return self.waited < self.patience and bool(self.train)

    def scores(self, joined: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Scores (frames, upsample, classes) of raw frames; the weights are scaled, not the frames, which are more."""
        scores = self.bias.expand(len(joined), -1)
        if self.lesson.hears:
            weight = self.weight * scale
            scores = functional.linear(joined, weight, self.bias - weight @ mean)
        return scores.reshape(len(joined), -1, self.classes)

    def judge(self, loss: float) -> None:
        """Take note of an epoch's validation loss."""
        self.epochs += 1
        self.waited += 1
        if loss < self.loss * (1 - MARGIN):
            self.loss, self.waited = loss, 0
            self.best = (self.weight.detach().clone(), self.bias.detach().clone())

    def taught(self, mean: torch.Tensor, scale: torch.Tensor, alphabet: Alphabet, upsample: int) -> Taught:
        """The best probe that it has been, for raw states."""
        weight = self.best[0].double() * scale
        bias, reason = self.best[1].double() - weight @ mean, None
        if not self.train:
            reason = "no training utterance has as many outputs as characters to say: raise probes.ctc.upsample"
            bias = torch.eye(self.classes)[alphabet.blank].repeat(upsample)
        return Taught(CtcProbe(weight.float(), bias.float(), alphabet.characters, upsample), self.epochs, reason)


def train_probes(
    frames: StoredFrames,
    lessons: Sequence[Lesson],
    train: Sequence[int],
    validation: Sequence[int],
    alphabet: Alphabet,
    config: CtcConfig,
    seed: int,
) -> list[Taught]:
    """Train one probe a lesson (Graves et al. 2006) with AdamW, keeping its best weights on the validation part.

    Args:
        frames: The frames.
        lessons: What each probe is taught.
        train: Places in the index to train on. Utterances with more to say than they have outputs teach nothing.
        validation: Places to stop early by; where none of them is feasible, the training places.
        alphabet: The characters.
        config: Settings of the probe.
        seed: Seed of the order of the utterances.

    Returns:
        A probe a lesson, for raw states.
    """
    mean, spread = frames.moments([*train, *validation])
    scale = torch.where(spread > 0, 1 / spread, 0.0) / math.sqrt(len(mean))
    moments = (mean.float(), scale.float())
    pupils = [_Pupil(lesson, frames, train, validation, alphabet, config) for lesson in lessons]
    weights = {"params": [pupil.weight for pupil in pupils], "weight_decay": config.weight_decay}
    biases = {"params": [pupil.bias for pupil in pupils], "weight_decay": 0.0}
    optimizer = torch.optim.AdamW([weights, biases], lr=config.learning_rate)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(config.epochs):
        learning = [pupil for pupil in pupils if pupil.learns]
        if not learning:
            break
        parts = [pupil.train for pupil in learning]
        places = sorted(set().union(*parts))
        order = [places[at] for at in torch.randperm(len(places), generator=generator).tolist()]
        for start in range(0, len(order), config.batch_size):
            # Parameters without a gradient, those of probes that have learnt out, are left as they are.
            optimizer.zero_grad()
            for losses in _losses(frames, learning, order[start : start + config.batch_size], parts, moments):
                losses.sum().backward()
            optimizer.step()
        parts = [pupil.validation for pupil in learning]
        with torch.no_grad():
            held_out = _losses(frames, learning, sorted(set().union(*parts)), parts, moments)
            judged = torch.stack(list(held_out)).sum(0)
        for pupil, loss in zip(learning, judged.tolist(), strict=True):
            pupil.judge(loss)
    return [pupil.taught(mean, scale, alphabet, config.upsample) for pupil in pupils]


def _losses(
    frames: StoredFrames,
    pupils: Sequence[_Pupil],
    batch: Sequence[int],
    parts: Sequence[set[int]],
    moments: tuple[torch.Tensor, torch.Tensor],
) -> Iterator[torch.Tensor]:
    """Losses (probes,) of a batch in nats a character, piece by piece: they add up to those of the batch.

    Each probe is judged by its own part of the utterances.
    """
    sizes = [
        sum(len(pupil.lesson.labels[place]) for place in batch if place in part)
        for pupil, part in zip(pupils, parts, strict=True)
    ]
    for piece, joined in frames.pieces(batch):
        counts = [frames.counts[place] for place in piece]
        losses = []
        for pupil, part, size in zip(pupils, parts, sizes, strict=True):
            scores = pupil.scores(joined, *moments).split(counts)
            chosen = [at for at, place in enumerate(piece) if place in part]
            said = [pupil.lesson.labels[piece[at]] for at in chosen]
            losses.append(_ctc([scores[at].flatten(0, 1) for at in chosen], said) / max(size, 1))
        yield torch.stack(losses)


def _ctc(outputs: Sequence[torch.Tensor], labels: Sequence[Sequence[int]]) -> torch.Tensor:
    """Summed CTC loss of utterances' scores (outputs, classes), the blank last."""
    if not outputs:
        return torch.zeros(())
    padded = torch.nn.utils.rnn.pad_sequence(list(outputs)).log_softmax(-1)
    flat = torch.tensor([label for row in labels for label in row])
    spoken, said = (torch.tensor([len(row) for row in rows]) for rows in (outputs, labels))
    blank = padded.shape[-1] - 1
    return functional.ctc_loss(padded, flat, spoken, said, blank=blank, reduction="sum", zero_infinity=True)
