"""The tuned lens: an affine map for each layer before the logit lens (Belrose et al. 2023, arXiv:2303.08112).

A state h becomes h + (W h + b). W and b start from zero, so that it starts as the logit lens, and are trained so that
the lens shows what the model goes on to make of the same frame: the loss is KL(last layer's distribution || lens of the
layer), in nats. It tells a layer that lacks the text from one that only writes it in other directions.

What is learnt is the map of standardised states, which is folded into W and b at the end: a few dimensions of a
language model's states are orders of magnitude larger than the rest, and no single learning rate fits them all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.lens import Unembedding
from cascade_equivalence.mechanism.states import States

FRAMES_A_STEP = 512
FRAMES_TO_VALIDATE = 2048
FRAMES_TO_STANDARDISE = 8192
STEPS_BETWEEN_VALIDATIONS = 25
PATIENCE = 3
"""Validations without an improvement before the training ends."""
LEARNING_RATE = 0.1
"""At the start, for width 1; divided by the root of the width."""
WEIGHT_DECAY = 1e-3
ROOM = 1e-6
"""Nats of divergence below which there is nothing to learn, as at the last layer itself."""


@dataclass(frozen=True)
class TunedLens:
    """The map h + (W h + b).

    Attributes:
        weight: W, (width, width), float32.
        bias: b, (width,), float32.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def identity(cls, width: int) -> "TunedLens":
        """The map that changes nothing: the logit lens."""
        return cls(torch.zeros(width, width), torch.zeros(width))

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Mapped states (frames, width), float32, of states (frames, width) in any arithmetic."""
        states = states.to(self.weight.device, torch.float32)
        return states + functional.linear(states, self.weight, self.bias)


@dataclass(frozen=True)
class Fit:
    """A trained tuned lens.

    Attributes:
        lens: The map; of those that were validated the best.
        steps: Steps after which it was taken, 0 for the logit lens.
        plain_kl: Divergence of the logit lens from the last layer on the validation frames, nats.
        kl: That of the tuned lens.
    """

    lens: TunedLens
    steps: int
    plain_kl: float
    kl: float


class _Standardised(nn.Module):
    """The map while it is trained: W and b act on standardised states and answer in units of the states' size."""

    def __init__(self, known: torch.Tensor) -> None:
        super().__init__()
        deviation, self.mean = torch.std_mean(known, dim=0, correction=0)
        self.deviation = deviation.where(deviation > 0, 1)
        self.size = known.square().mean(0).sqrt()
        width = known.shape[1]
        self.weight = nn.Parameter(torch.zeros(width, width, device=known.device))
        self.bias = nn.Parameter(torch.zeros(width, device=known.device))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        states = states.to(self.mean)
        scaled = (states - self.mean) / self.deviation
        return states + self.size * functional.linear(scaled, self.weight, self.bias)

    def folded(self) -> TunedLens:
        weight = self.size[:, None] * self.weight.detach() / self.deviation
        return TunedLens(weight, self.size * self.bias.detach() - weight @ self.mean)


def fit_tuned_lens(
    states: States,
    last: States,
    train: np.ndarray,
    validation: np.ndarray,
    unembedding: Unembedding,
    steps: int,
    seed: int,
) -> Fit:
    """Train the tuned lens of one layer.

    AdamW; the learning rate falls linearly to zero; the training ends early where the validation frames stop gaining,
    and the best map that was validated is taken, so that on those frames it is never worse than the logit lens.

    Args:
        states: The layer's states.
        last: The last layer's states, frame by frame those of the same frames.
        train: Rows to train on.
        validation: Rows of other utterances, which decide when to stop.
        unembedding: The model's.
        steps: Most steps.
        seed: Seed of the frames of each step.

    Raises:
        StudyError: There are no frames to train on or to validate with.
    """
    if not len(train) or not len(validation):
        raise StudyError(
            "the tuned lens needs at least two training items, one of them to validate with: raise "
            "`mechanism.states.per_task`, or leave `mechanism.lens.tuned` off"
        )
    generator = np.random.default_rng(seed)
    checked = _drawn(validation, FRAMES_TO_VALIDATE, generator)
    plain = _mean_kl(nn.Identity(), states, last, checked, unembedding)
    best = Fit(TunedLens.identity(states.width), 0, plain, plain)
    if plain < ROOM:
        return best
    known = gathered(states, _drawn(train, FRAMES_TO_STANDARDISE, generator)).float()
    lens = _Standardised(known.to(unembedding.head.weight.device))
    optimizer = torch.optim.AdamW(
        lens.parameters(), lr=LEARNING_RATE / math.sqrt(states.width), weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    waited = 0
    for step in range(1, steps + 1):
        rows = _drawn(train, FRAMES_A_STEP, generator)
        optimizer.zero_grad()
        for mine, goal in _pairs(states, last, rows, unembedding):
            (_kl(goal, unembedding.logits(lens(mine))).sum() / len(rows)).backward()
        nn.utils.clip_grad_norm_(lens.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % STEPS_BETWEEN_VALIDATIONS and step < steps:
            continue
        kl = _mean_kl(lens, states, last, checked, unembedding)
        waited = 0 if kl < best.kl else waited + 1
        if kl < best.kl:
            best = Fit(lens.folded(), step, plain, kl)
        if waited == PATIENCE:
            break
    return best


def gathered(states: States, rows: np.ndarray) -> torch.Tensor:
    """States (rows, width) of some rows, which must be in ascending order; neighbours are read in one go."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    runs = np.split(rows, breaks)
    return torch.cat([states.part(int(run[0]), int(run[-1]) + 1) for run in runs])


def _drawn(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """At most so many of the rows, in ascending order."""
    return np.sort(generator.choice(rows, min(most, len(rows)), replace=False))


def _pairs(
    states: States, last: States, rows: np.ndarray, unembedding: Unembedding
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """States of a layer and logits of the last layer for some rows, as many at once as fit into memory."""
    mine, final = gathered(states, rows), gathered(last, rows)
    for start in range(0, len(rows), unembedding.frames_at_once):
        part = slice(start, start + unembedding.frames_at_once)
        with torch.no_grad():
            goal = unembedding.logits(final[part])
        yield mine[part], goal


def _kl(goal: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """KL(goal || found) of each frame (frames,), nats, of logits (frames, vocabulary)."""
    logs = goal.log_softmax(-1)
    return functional.kl_div(found.log_softmax(-1), logs, reduction="none", log_target=True).sum(-1)


@torch.no_grad()
def _mean_kl(lens: nn.Module, states: States, last: States, rows: np.ndarray, unembedding: Unembedding) -> float:
    """Mean divergence of the lens from the last layer's distribution on some rows, nats."""
    total = 0.0
    for mine, goal in _pairs(states, last, rows, unembedding):
        total += float(_kl(goal, unembedding.logits(lens(mine))).double().sum())
    return total / len(rows)
