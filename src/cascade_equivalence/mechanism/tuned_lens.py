"""The tuned lens: an affine map for each layer before the logit lens (Belrose et al. 2023, arXiv:2303.08112).

A state h becomes h + (W h + b). W and b start from zero, so that it starts as the logit lens, and are trained so that
the lens shows what the model goes on to make of the same frame: the loss is KL(last layer's distribution || lens of the
layer), in nats. It tells a layer that lacks the text from one that only writes it in other directions.

What is learnt is the map of standardised states, which is folded into W and b at the end: a few dimensions of a
language model's states are orders of magnitude larger than the rest, and no single learning rate fits them all.

Nearly all of the time would go into products with the vocabulary. In training they are made with a part of it: the
tokens that the last layer gives most of its probability to, and at each step as many others, drawn anew, as tell what
the lens gives to all the rest, which counts as one token. The last layer's distributions of the frames that are trained
on are computed once. What decides when to stop is the divergence over the whole vocabulary.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.lens import Unembedding
from cascade_equivalence.mechanism.states import States

FRAMES_A_STEP = 512
FRAMES_TO_TRAIN = 8192
"""Most frames that are trained on; of more of them as many are drawn."""
FRAMES_TO_VALIDATE = 512
TOKENS, OTHERS = 4096, 1024
"""Tokens that each have a probability of their own in training, and others drawn at each step to stand for the rest."""
STEPS_BETWEEN_VALIDATIONS = 25
PATIENCE = 3
"""Validations without an improvement before the training ends."""
MARGIN = 1e-3
"""Share of the divergence that an improvement must come to, to be worth more steps."""
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
class LensFit:
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
) -> LensFit:
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
    kl_of = _validation(states, last, _drawn(validation, FRAMES_TO_VALIDATE, generator), unembedding)
    plain = kl_of(nn.Identity())
    best = LensFit(TunedLens.identity(states.width), 0, plain, plain)
    if plain < ROOM:
        return best
    rows = _drawn(train, FRAMES_TO_TRAIN, generator)
    known = gathered(states, rows).to(unembedding.head.weight.device, torch.float32)
    goal = _Goal(gathered(last, rows), unembedding)
    lens = _Standardised(known)
    optimizer = torch.optim.AdamW(
        lens.parameters(), lr=LEARNING_RATE / math.sqrt(states.width), weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    waited = 0
    for step in range(1, steps + 1):
        places = torch.from_numpy(_drawn(np.arange(len(rows)), FRAMES_A_STEP, generator))
        optimizer.zero_grad()
        for some in places.split(unembedding.frames_at_once):
            (goal.kl(lens(known[some]), some, generator).sum() / len(places)).backward()
        nn.utils.clip_grad_norm_(lens.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % STEPS_BETWEEN_VALIDATIONS and step < steps:
            continue
        kl = kl_of(lens)
        waited = 0 if kl < (1 - MARGIN) * best.kl else waited + 1
        if kl < best.kl:
            best = LensFit(lens.folded(), step, plain, kl)
        if waited == PATIENCE:
            break
    return best


class _SomeTokens(Unembedding):
    """An unembedding of some tokens of the vocabulary; caps and scales behind it are the model's.

    Args:
        whole: The unembedding of all tokens; its weights are shared.
        tokens: The tokens, (tokens,).

    Raises:
        StudyError: The model has its unembedding in a place that is not known.
    """

    def __init__(self, whole: Unembedding, tokens: torch.Tensor) -> None:
        bias = getattr(whole.head, "bias", None)
        self.norm = whole.norm
        self.head = nn.Linear(whole.width, len(tokens), bias is not None, device="meta")
        self.head.weight = nn.Parameter(whole.head.weight[tokens], requires_grad=False)
        if bias is not None:
            self.head.bias = nn.Parameter(bias[tokens], requires_grad=False)
        names = [name for name, module in whole._rest._modules.items() if module is whole.head]
        if not names:
            raise StudyError(
                f"the unembedding of {type(whole._rest).__name__} was not found, so there is no tuned lens for it: "
                "leave `mechanism.lens.tuned` off"
            )
        self._rest = copy.copy(whole._rest)
        self._rest._modules = whole._rest._modules | {names[0]: self.head}


class _Goal:
    """What the last layer says of some frames, as shares of some tokens and of all the rest.

    Args:
        last: States of the last layer, (frames, width).
        unembedding: The model's.
    """

    def __init__(self, last: torch.Tensor, unembedding: Unembedding) -> None:
        self.unembedding = unembedding
        vocabulary, device = unembedding.vocabulary, unembedding.head.weight.device
        mass = torch.zeros(vocabulary, device=device)
        totals = []
        with torch.no_grad():
            parts = last.split(unembedding.frames_at_once)
            for part in parts:
                logits = unembedding.logits(part)
                totals.append(logits.logsumexp(-1, keepdim=True))
                mass += (logits - totals[-1]).exp().sum(0)
            narrow = vocabulary > TOKENS + OTHERS
            self.tokens = mass.topk(TOKENS if narrow else vocabulary).indices.sort().values
            own = _SomeTokens(unembedding, self.tokens) if narrow else unembedding
            logs = [own.logits(part) - total for part, total in zip(parts, totals, strict=True)]
        self.shares = torch.cat(logs).exp()
        self.rest = (1 - self.shares.sum(-1)).clamp(min=0)
        outside = torch.ones(vocabulary, dtype=torch.bool)
        outside[self.tokens.cpu()] = False
        self.others = outside.nonzero()[:, 0].numpy()

    def kl(self, states: torch.Tensor, places: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Divergence (frames,) of what mapped states (frames, width) show from the goal of these frames, in nats."""
        shares, rest = self.shares[places], self.rest[places]
        entropy = torch.xlogy(shares, shares).sum(-1)
        if not len(self.others):
            return entropy - (shares * self.unembedding.logits(states).log_softmax(-1)).sum(-1)
        drawn = torch.from_numpy(generator.choice(self.others, OTHERS, replace=False)).to(self.tokens)
        logits = _SomeTokens(self.unembedding, torch.cat([self.tokens, drawn])).logits(states)
        named = logits[:, : len(self.tokens)]
        others = logits[:, len(self.tokens) :].logsumexp(-1) + math.log(len(self.others) / OTHERS)
        total = torch.logaddexp(named.logsumexp(-1), others)
        cross = (shares * (named - total[:, None])).sum(-1) + rest * (others - total)
        return entropy + torch.xlogy(rest, rest) - cross


def gathered(states: States, rows: np.ndarray) -> torch.Tensor:
    """States (rows, width) of some rows, which must be in ascending order; neighbours are read in one go."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    runs = np.split(rows, breaks)
    return torch.cat([states.part(int(run[0]), int(run[-1]) + 1) for run in runs])


def _drawn(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """At most so many of the rows, in ascending order."""
    return np.sort(generator.choice(rows, min(most, len(rows)), replace=False))


@torch.no_grad()
def _validation(
    states: States, last: States, rows: np.ndarray, unembedding: Unembedding
) -> Callable[[nn.Module], float]:
    """Mean divergence, nats, of a lens from the last layer's distribution on some rows, over the whole vocabulary."""
    mine, final = (gathered(each, rows).split(unembedding.frames_at_once) for each in (states, last))
    goals = [unembedding.logits(part).log_softmax(-1) for part in final]

    @torch.no_grad()
    def measure(lens: nn.Module) -> float:
        total = 0.0
        for part, goal in zip(mine, goals, strict=True):
            found = unembedding.logits(lens(part)).log_softmax(-1)
            total += float(functional.kl_div(found, goal, reduction="none", log_target=True).sum(-1).double().sum())
        return total / len(rows)

    return measure
