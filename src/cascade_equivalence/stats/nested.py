"""Nested classifiers: each step may read more features, or ignore them; chosen and tested on whole groups.

A step adds a linear map of its features to the log-probabilities of the step before, softmax(earlier + X W), with a
ridge penalty: multinomial logistic regression with an offset, which scikit-learn's does not have.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from scipy.special import log_softmax

from cascade_equivalence.stats.clusters import Clusters, Floats

Rows = NDArray[np.intp]
Matrix: TypeAlias = Floats | sparse.csr_array
Features = Callable[[Rows], Matrix]
"""Training rows -> features of all rows, (rows, width); whatever is learned of them comes from the training rows."""


@dataclass(frozen=True)
class Sample:
    """Labelled rows: an item in a voice each.

    Attributes:
        text: Features of the transcript.
        audio: Features of the audio, finite, (rows, width).
        gold: Code of the label, (rows,).
        clusters: The group of each row; folds and intervals keep groups whole.
        items: Number of the item of each row, (rows,); the null moves an item's audio as a whole, all its voices.
        voices: Number of the voice of each row, (rows,); each item has a voice once.
    """

    text: Features
    audio: Floats
    gold: Rows
    clusters: Clusters
    items: Rows
    voices: Rows


@dataclass(frozen=True)
class Step:
    """Log-probabilities of one step, (rows, labels) each.

    Attributes:
        inner: Of training rows, each by a fit without its inner fold.
        outer: Of all rows, by the fit on all training rows.
    """

    inner: Floats
    outer: Floats


def standardised(values: Floats) -> Features:
    """Features with mean 0 and standard deviation 1 over the training rows; 0 where they do not vary there."""

    def of(train: Rows) -> Floats:
        part = values[train]
        spread = part.std(axis=0)
        varies = spread > 1e-12 * np.abs(part).max(axis=0, initial=0)
        return np.divide(values - part.mean(axis=0), spread, out=np.zeros_like(values), where=varies)

    return of


def fit(features: Matrix, gold: Rows, offset: Floats, penalty: float, start: Floats) -> Floats:
    """Fit a multinomial logistic regression with an offset and a ridge penalty.

    W minimises the mean over rows of -log softmax(offset + X W)[gold], plus penalty / 2 * ||W||^2.

    Args:
        features: X, (rows, width).
        gold: Code of the label, (rows,).
        offset: (rows, labels).
        penalty: Ridge penalty.
        start: Where the search starts, (width, labels); the objective is convex.

    Returns:
        W, (width, labels).
    """
    rows = len(offset)
    picked = (np.arange(rows), gold)

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(start.shape)
        log_p = log_softmax(offset + features @ weights, axis=1)
        residual = np.exp(log_p)
        residual[picked] -= 1
        gradient = features.T @ residual / rows + penalty * weights
        return float(penalty / 2 * (flat @ flat) - log_p[picked].mean()), gradient.ravel()

    options = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-7}
    found = optimize.minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(start.shape)


def deal(gold: Rows, clusters: Clusters, rows: Rows, folds: int, generator: np.random.Generator) -> list[Rows]:
    """Deal whole groups into folds, those with one commonest label in turn.

    Args:
        gold: Code of the label of each row of the sample.
        clusters: Group of each row of the sample.
        rows: The rows to deal.
        folds: Number of folds; fewer where there are fewer groups.
        generator: Shuffles the groups.

    Returns:
        The rows of each fold, ascending.
    """
    groups = np.unique(clusters.index[rows])
    counts = np.zeros((clusters.count, int(gold.max()) + 1))
    np.add.at(counts, (clusters.index[rows], gold[rows]), 1)
    shuffled = generator.permutation(groups)
    ordered = shuffled[np.argsort(counts[shuffled].argmax(axis=1), kind="stable")]
    fold_of = np.zeros(clusters.count, dtype=np.intp)
    fold_of[ordered] = np.arange(len(ordered)) % min(folds, len(ordered))
    dealt = fold_of[clusters.index[rows]]
    return [rows[dealt == fold] for fold in range(min(folds, len(ordered)))]


def log_prior(gold: Rows, labels: int) -> Floats:
    """Logarithm of the labels' shares, (labels,); one is added to each count (Laplace), so that none is impossible."""
    counts = np.bincount(gold, minlength=labels) + 1.0
    return np.log(counts / counts.sum())


@dataclass(frozen=True)
class Fold:
    """One outer fold.

    Attributes:
        train: Rows that train.
        test: Rows that test.
        inner: Inner folds of the training rows.
        prior: The step every other begins with.
    """

    train: Rows
    test: Rows
    inner: Sequence[Rows]
    prior: Step


def splits(sample: Sample, folds: int, seed: int) -> list[Fold]:
    """The outer folds of a sample, each with its inner folds."""
    labels = int(sample.gold.max()) + 1
    everything = np.arange(len(sample.gold))
    generator = np.random.default_rng(seed)
    found = []
    for test in deal(sample.gold, sample.clusters, everything, folds, generator):
        train = np.setdiff1d(everything, test, assume_unique=True)
        inner = deal(sample.gold, sample.clusters, train, folds, generator)
        start = np.zeros((len(everything), labels))
        for held in inner:
            start[held] = log_prior(sample.gold[np.setdiff1d(train, held, assume_unique=True)], labels)
        prior = Step(start, np.tile(log_prior(sample.gold[train], labels), (len(everything), 1)))
        found.append(Fold(train, test, inner, prior))
    return found


def step(features: Features, sample: Sample, split: Fold, earlier: Step, penalties: Sequence[float]) -> Step:
    """Add features to a step.

    Args:
        features: What is added.
        sample: The rows.
        split: The outer fold.
        earlier: The step to add to.
        penalties: Penalties to choose from, strongest first.

    Returns:
        The new step; the earlier one where no penalty predicts the held-out rows better.
    """
    gold, rows = sample.gold, split.train
    inner = np.stack([earlier.inner] * (1 + len(penalties)))
    for held in split.inner:
        train = np.setdiff1d(rows, held, assume_unique=True)
        table = features(train)
        for place, weights in enumerate(_path(table[train], gold[train], earlier.inner[train], penalties)):
            inner[1 + place, held] = log_softmax(earlier.inner[held] + table[held] @ weights, axis=1)
    chosen = int(inner[:, rows, gold[rows]].mean(axis=1).argmax())
    if not chosen:
        return earlier
    table = features(rows)
    weights = _path(table[rows], gold[rows], earlier.inner[rows], penalties[:chosen])[-1]
    return Step(inner[chosen], log_softmax(earlier.outer + table @ weights, axis=1))


def _path(features: Matrix, gold: Rows, offset: Floats, penalties: Sequence[float]) -> list[Floats]:
    """Fits from the strongest penalty on, each from where the one before ended."""
    weights = np.zeros((features.shape[1], offset.shape[1]))
    return [weights := fit(features, gold, offset, penalty, weights) for penalty in penalties]
