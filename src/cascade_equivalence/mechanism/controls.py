"""Control erasers: as many random directions as a concept's eraser takes, or random ones with as much variance.

Each concept has draws of its own: at each layer of as many directions as its eraser takes away there.
"""

from dataclasses import dataclass
from typing import assert_never

import numpy as np
import torch

from cascade_equivalence.config.mechanism import ControlName
from cascade_equivalence.mechanism.leace import Eraser, Spectrum, removed_variance

RANDOM, PRINCIPAL = 2, 3
"""Tell the streams of random numbers apart that share a seed, a layer and a draw."""


@dataclass(frozen=True)
class Window:
    """A stretch of principal components, the largest first.

    Attributes:
        first: The first one.
        last: The one behind the last one.
        expected: Share of the variance that random directions within it carry on average.
    """

    first: int
    last: int
    expected: float


@dataclass(frozen=True)
class Drawn:
    """Draws of a control for one concept at one layer.

    Attributes:
        erasers: One a draw.
        removed: Share of the states' variance that each takes away.
        target: Share that they were to take away; None where only the rank is matched.
        window: Components that they lie among; None where any directions will do.
    """

    erasers: list[Eraser]
    removed: list[float]
    target: float | None = None
    window: Window | None = None


def draw_control(kind: ControlName, concept: Eraser, spectrum: Spectrum, draws: int, seed: int, layer: int) -> Drawn:
    """Draw a control of a concept's rank.

    Args:
        kind: ``random`` directions, or ``principal``: random ones that carry, on average, as much variance.
        concept: The concept's eraser.
        spectrum: Of the covariance of the states that it was fitted on.
        draws: Number of draws.
        seed: Seed of the study.
        layer: The layer.
    """
    rank, width = concept.rank, len(spectrum.values)
    target, window = None, None
    if kind == "random":
        made = [random_eraser(width, rank, seed, layer, draw) for draw in range(draws)]
    elif kind == "principal":
        target = removed_variance(spectrum, concept)
        window = matching_window(spectrum, rank, target)
        made = [principal_eraser(spectrum, window, rank, seed, layer, draw) for draw in range(draws)]
    else:
        assert_never(kind)
    return Drawn(made, [removed_variance(spectrum, eraser) for eraser in made], target, window)


def random_eraser(width: int, rank: int, seed: int, layer: int, draw: int) -> Eraser:
    """I - Q Q^T with Q from the QR decomposition of a Gaussian (width, rank): the paper's random erasure.

    Args:
        width: Width of a state.
        rank: Directions; no more than the width are taken.
        seed: Seed of the study.
        layer: The layer, each of which has directions of its own.
        draw: Number of the draw.
    """
    return _orthogonal(torch.from_numpy(_directions([seed, RANDOM, layer, draw], width, min(rank, width))))


def matching_window(spectrum: Spectrum, rank: int, target: float) -> Window:
    """Principal components among which random directions carry, on average, a given share of the variance.

    ``rank`` random orthonormal directions within some components carry ``rank`` times these components' mean variance.
    Among the largest m that falls with m, down to what directions in the whole space carry. A target below that, which
    one component far larger than all others is enough for, is matched without the largest: as few as it takes.

    Args:
        spectrum: Of the states' covariance.
        rank: Directions, at most d.
        target: Share of the variance to match.
    """
    values = spectrum.values.clamp(min=0).flip(0).numpy()
    width, total = len(values), float(values.sum())
    if not rank or total <= 0:
        return Window(0, width, 0.0)
    behind = np.concatenate([[0.0], np.cumsum(values / total)])

    def expected(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return rank * (behind[last] - behind[first]) / (last - first)

    starts = np.arange(width - rank + 1)
    enough = np.flatnonzero(expected(starts, np.full_like(starts, width)) <= target)
    first = int(enough[0]) if len(enough) else width - rank
    lasts = np.append(np.arange(first + rank, width + 1), width)
    # The last one is that without one component less, which may be nearer where components differ much.
    firsts = np.append(np.full(len(lasts) - 1, first), max(first - 1, 0))
    shares = expected(firsts, lasts)
    best = int(np.abs(shares - target).argmin())
    return Window(int(firsts[best]), int(lasts[best]), float(shares[best]))


def principal_eraser(spectrum: Spectrum, window: Window, rank: int, seed: int, layer: int, draw: int) -> Eraser:
    """I - Q Q^T with Q random orthonormal directions within some principal components.

    Args:
        spectrum: Of the states' covariance.
        window: The components.
        rank: Directions; no more than there are components are taken.
        seed: Seed of the study.
        layer: The layer.
        draw: Number of the draw.
    """
    components = spectrum.vectors.flip(1)[:, window.first : window.last]
    width = components.shape[1]
    return _orthogonal(
        components @ torch.from_numpy(_directions([seed, PRINCIPAL, layer, draw], width, min(rank, width)))
    )


def _directions(stream: list[int], width: int, rank: int) -> np.ndarray:
    """Random orthonormal columns (width, rank), float64."""
    return np.linalg.qr(np.random.default_rng(stream).standard_normal((width, rank)))[0]


def _orthogonal(directions: torch.Tensor) -> Eraser:
    return Eraser(directions, directions.mT.contiguous())
