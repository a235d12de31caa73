"""Ridge regression of many targets at once: one decomposition of the states serves every target and every penalty.

The states are standardised on what is fitted on, the intercept is free, and a target picks its penalty by inner cross-
validation in folds of whole items. With standardised states X, centred targets Y and the eigenvalues s of the smaller
one of X'X and XX', the prediction for states Z is Z R diag(1 / (s + penalty)) L'Y, where (L, R) is (XV, V) for the
eigenvectors V of X'X and (U, X'U) for the eigenvectors U of XX': only the diagonal depends on the penalty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.explained import Explained

Floats = NDArray[np.float64]
CONSTANT_TARGET = "the target is constant on the test part"
CONSTANT = 1e-12
"""A spread this small against the values themselves is rounding: the column counts as constant."""


@dataclass(frozen=True)
class Decomposition:
    """Standardised states (rows, width), decomposed.

    Attributes:
        mean: Mean of each column, (width,).
        scale: One over each column's standard deviation, (width,); 0 for constant columns.
        eigenvalues: Of the smaller Gram matrix, (k,), k = min(rows, width).
        left: (rows, k), see the module.
        right: (width, k), see the module.
    """

    mean: Floats
    scale: Floats
    eigenvalues: Floats
    left: Floats
    right: Floats

    @classmethod
    def of(cls, states: Floats) -> "Decomposition":
        """Standardise and decompose states (rows, width)."""
        mean = states.mean(axis=0)
        spread = states.std(axis=0)
        constant = spread <= CONSTANT * np.abs(states).max(axis=0)
        scale = np.divide(1, spread, out=np.zeros_like(spread), where=~constant)
        standard = (states - mean) * scale
        dual = len(states) <= states.shape[1]
        eigenvalues, vectors = linalg.eigh(standard @ standard.T if dual else standard.T @ standard)
        left, right = (vectors, standard.T @ vectors) if dual else (standard @ vectors, vectors)
        # Rounding makes some of the zeros slightly negative.
        return cls(mean, scale, np.maximum(eigenvalues, 0), left, right)

    def predict(self, targets: Floats, states: Floats, penalties: Floats) -> Floats:
        """Fit targets with each penalty and predict them for further states.

        Args:
            targets: Targets of the decomposed states (rows, targets).
            states: Further states (more rows, width).
            penalties: Penalties (penalties,).

        Returns:
            Predictions (penalties, more rows, targets).
        """
        centre = targets.mean(axis=0)
        outer = ((states - self.mean) * self.scale) @ self.right
        inner = self.left.T @ (targets - centre)
        return np.stack([outer @ (inner / (self.eigenvalues + penalty)[:, None]) for penalty in penalties]) + centre


@dataclass(frozen=True)
class Prediction:
    """Targets predicted on the test part.

    Attributes:
        values: (test rows, targets).
        penalties: Penalty that each target picked, (targets,).
    """

    values: Floats
    penalties: Floats


def item_folds(items: Sequence[str], folds: int, seed: int) -> NDArray[np.intp]:
    """Fold of each row, all rows of an item in one; it does not depend on the order of the rows.

    Args:
        items: Item of each row, of at least two items.
        folds: Most folds to make; never more than items.
        seed: Seed of the assignment.

    Returns:
        Folds (rows,), 0 to at most ``folds - 1``, with equally many items but for one.
    """
    clusters = Clusters.of(items)
    order = np.random.default_rng(seed).permutation(clusters.count)
    fold_of_item = np.empty(clusters.count, dtype=np.intp)
    fold_of_item[order] = np.arange(clusters.count) % min(folds, clusters.count)
    return fold_of_item[clusters.index]


def fit_predict(
    train: Floats,
    targets: Floats,
    test: Floats,
    *,
    blocks: Sequence[int],
    folds: NDArray[np.intp],
    penalties: Sequence[float],
) -> Prediction:
    """Fit ridge regressions on the training part and predict the test part.

    Args:
        train: States (rows, width).
        targets: Targets (rows, targets).
        test: States of the test part (test rows, width).
        blocks: Block of each target (targets,), from 0 on: targets of one block share a penalty, the one with the
            smallest sum of squared errors over the block and all held-out rows.
        folds: Inner fold of each row, from :func:`item_folds`.
        penalties: Penalties to choose from, on standardised states (as scikit-learn's ``alpha`` behind its
            ``StandardScaler``).
    """
    grid, block_of = np.asarray(penalties, dtype=np.float64), np.asarray(blocks, dtype=np.intp)
    errors = np.zeros((len(grid), targets.shape[1]))
    for fold in np.unique(folds):
        held_out = folds == fold
        inner = Decomposition.of(train[~held_out])
        predicted = inner.predict(targets[~held_out], train[held_out], grid)
        errors += ((predicted - targets[held_out]) ** 2).sum(axis=1)
    of_block = np.stack([np.bincount(block_of, weights=row) for row in errors])
    choice = of_block.argmin(axis=0)[block_of]
    predicted = Decomposition.of(train).predict(targets, test, grid)
    return Prediction(predicted[choice, :, np.arange(len(choice))].T, grid[choice])


def explained(truth: Floats, predicted: Floats, centre: Floats, items: Sequence[str]) -> Explained:
    """What ridge probes explain on the test part: R2 against the mean of the training part, item by item.

    R2 = 1 - SSE / sum (y - centre)^2. A prediction that knows nothing of an utterance is the mean of the training
    targets, and its R2 is 0. Against the mean of the test part (scikit-learn's ``r2_score``, the paper's) it is below 0
    by about one part in the number of test utterances for every column, and no draw of these utterances is centred as
    they are.

    Args:
        truth: Targets (rows, targets).
        predicted: Predictions (rows, targets).
        centre: Mean of the training targets, (targets,).
        items: Item of each row.
    """
    missed, there = (((truth - each) ** 2).sum(axis=1) for each in (predicted, np.broadcast_to(centre, truth.shape)))
    rounding = CONSTANT * float((truth**2).sum())
    return Explained.of_rows(items, *(np.where(each > rounding, each, 0) for each in (missed, there)))


def r_squared_of_test(truth: Floats, predicted: Floats, *, uniform: bool = False) -> float | None:
    """The R2 against the mean of the test part, as scikit-learn's ``r2_score``; None where no target varies.

    Args:
        truth: Targets (rows, targets).
        predicted: Predictions (rows, targets).
        uniform: Take the plain mean over targets, leaving out those that are constant; by default they are weighted
            by their variance.
    """
    variation = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    varies = variation > CONSTANT * (truth**2).sum(axis=0)
    if not varies.any():
        return None
    missed = ((truth - predicted) ** 2).sum(axis=0)
    if uniform:
        return float(1 - (missed[varies] / variation[varies]).mean())
    return float(1 - missed.sum() / variation[varies].sum())
