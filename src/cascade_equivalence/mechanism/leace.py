"""Least-squares concept erasure (LEACE, Belrose et al. 2023, arXiv:2306.03819, theorem 4.3; paper section 3.4).

For states x with covariance S and a concept's columns z with cross-covariance S_xz, let W = S^(-1/2) and U the left
singular vectors of W S_xz. No linear map of P x, where P = I - W^+ U U^T W, knows more of z than a constant does, and
no other map with this property moves x less in mean square.

The numbers are those of the concept-erasure library's ``LeaceFitter(constrain_cov_trace=False)``. What it makes anew
for every concept, the covariance and its eigendecomposition, is made once here and shared: fitting a concept then costs
products with as many columns as the concept has, and no d x d matrix.
"""

from dataclasses import dataclass

import torch
from concept_erasure.shrinkage import optimal_linear_shrinkage
from torch import Tensor

INSIDE = 1e-6
"""Largest sine of the angle between a direction and a subspace that it counts as lying in."""


@dataclass(frozen=True, eq=False)
class Eraser:
    """The map x -> x - L R (x - b), kept as its factors.

    Attributes:
        left: L, (d, k).
        right: R, (k, d), with R L = I.
        bias: The mean b that the map keeps, (d,); None takes the concept's share of the mean away, too.
    """

    left: Tensor
    right: Tensor
    bias: Tensor | None = None

    @property
    def P(self) -> Tensor:
        """The projection I - L R, (d, d)."""
        return torch.eye(len(self.left), dtype=self.left.dtype, device=self.left.device) - self.left @ self.right

    @property
    def rank(self) -> int:
        """Directions that it removes."""
        return self.left.shape[1]

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> "Eraser":
        """The same map elsewhere, so that a call need not move or convert its factors."""
        bias = None if self.bias is None else self.bias.to(device, dtype)
        return Eraser(self.left.to(device, dtype), self.right.to(device, dtype), bias)

    def __call__(self, x: Tensor) -> Tensor:
        """Erase from states (..., d); computed in float32 or wider, given back in the arithmetic of ``x``."""
        # Half precision would leave as much of the concept behind as it rounds away.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        own = self.to(wide.device, wide.dtype)
        moved = wide if own.bias is None else wide - own.bias
        return (wide - (moved @ own.right.mT) @ own.left.mT).to(x.dtype)


@dataclass(frozen=True)
class Spectrum:
    """Eigendecomposition of a sample covariance, divided by the count: all that erasers need of it.

    Attributes:
        values: Eigenvalues in ascending order, (d,).
        shrunk: The same after optimal linear shrinkage (arXiv:1308.2608), which keeps the eigenvectors, (d,).
        vectors: Eigenvectors as columns, (d, d).
        count: Rows that the covariance is of.
    """

    values: Tensor
    shrunk: Tensor
    vectors: Tensor
    count: int

    @classmethod
    def of(cls, covariance: Tensor, count: int) -> "Spectrum":
        """Decompose a covariance (d, d), divided by ``count``, of ``count`` >= 2 rows."""
        values, vectors = torch.linalg.eigh(covariance)
        # The shrunk covariance is a S + b I, with a and b of the eigenvalues alone.
        return cls(values, optimal_linear_shrinkage(torch.diag(values), count).diagonal().clone(), vectors, count)


@dataclass(frozen=True)
class Whitening:
    """The square root of a covariance and its pseudo-inverse, in the basis of its eigenvectors.

    Attributes:
        vectors: Eigenvectors as columns, (d, d).
        values: Eigenvalues, (d,); 0 where they are below the threshold of ``torch.linalg.pinv``.
    """

    vectors: Tensor
    values: Tensor

    @classmethod
    def of(cls, covariance: Tensor, count: int, shrinkage: bool) -> "Whitening":
        """Whitening of a covariance (d, d), divided by ``count``, of ``count`` >= 2 rows."""
        return cls.of_spectrum(Spectrum.of(covariance, count), shrinkage)

    @classmethod
    def of_spectrum(cls, spectrum: Spectrum, shrinkage: bool) -> "Whitening":
        """The same from a decomposition; without shrinkage the covariance is the unbiased one, as in the library."""
        unbiased = spectrum.values * (spectrum.count / (spectrum.count - 1))
        values = spectrum.shrunk if shrinkage else unbiased
        floor = values.max() * len(values) * torch.finfo(values.dtype).eps
        return cls(spectrum.vectors, torch.where(values > floor, values, 0.0))

    def whiten(self, columns: Tensor) -> Tensor:
        """Coordinates (d, k) of columns (d, k) along the eigenvectors, each divided by its standard deviation."""
        return torch.where(self.values > 0, self.values.rsqrt(), 0.0)[:, None] * (self.vectors.mT @ columns)

    def factors(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        """L (d, k) and R (k, d) of the eraser of orthonormal whitened directions (d, k)."""
        root = self.values.sqrt()
        inverse = torch.where(self.values > 0, self.values.rsqrt(), 0.0)
        return self.vectors @ (root[:, None] * directions), (self.vectors @ (inverse[:, None] * directions)).mT

    def outside(self, columns: Tensor) -> Tensor:
        """What of columns (d, k) no state varies along, (d, k)."""
        never = self.vectors[:, self.values == 0]
        return never @ (never.mT @ columns)


@dataclass(frozen=True)
class EraserFit:
    """A fitted eraser.

    Attributes:
        eraser: Without a bias.
        singular: All singular values of the whitened cross-covariance, descending, (min(d, columns),).
    """

    eraser: Eraser
    singular: Tensor


def fit(whitening: Whitening, cross: Tensor, tolerance: float) -> EraserFit:
    """Fit the eraser of a concept.

    Args:
        whitening: Of the states' covariance, which concepts share.
        cross: Cross-covariance (d, columns) of states and concept, divided by rows - 1.
        tolerance: Singular values at or below it are left alone (the library's ``svd_tol``). It is absolute: a
            column of standard deviation 1 has singular values of at most 1, so it is to concepts of this scale that a
            number means the same.
    """
    directions, singular, _ = torch.linalg.svd(whitening.whiten(cross), full_matrices=False)
    return EraserFit(Eraser(*whitening.factors(directions[:, singular > tolerance])), singular)


def spanning(rows: Tensor, share: float) -> EraserFit:
    """The orthogonal eraser of the fewest directions that hold a share of the squares of some rows.

    Args:
        rows: (rows, d), such as distances of classes from their mean; not centred here.
        share: In (0, 1].

    Returns:
        The eraser, of rank 0 where the rows are 0, and the rows' singular values, descending.
    """
    _, singular, directions = torch.linalg.svd(rows, full_matrices=False)
    held = singular.square().cumsum(0)
    total = float(held[-1]) if len(held) else 0.0
    # What is left by rounding is no direction.
    floor = float(singular[0]) * max(rows.shape) * torch.finfo(rows.dtype).eps if len(singular) else 0.0
    rank = min(int((held < share * total).sum()) + 1, int((singular > floor).sum())) if total > 0 else 0
    basis = directions[:rank].mT.contiguous()
    return EraserFit(Eraser(basis, basis.mT.contiguous()), singular)


def linear_r2(sample: Whitening, cross: Tensor, variance: Tensor, eraser: Eraser | None = None) -> float | None:
    """Share of a concept's variance that a linear probe explains on the rows it was fitted on, from moments alone.

    Ordinary least squares with an intercept of all columns z on x, or on the erased P x. Before, the explained variance
    is |W S_xz|^2. A probe of P x is a probe w of x with w^T L = 0, so after erasing what lies along W L is missing; as
    far as states never vary along a direction of L, it is no constraint. 0 means that no linear probe and no linear
    classifier, whatever its loss, does better than a constant (arXiv:2306.03819, theorem 3.1).

    Args:
        sample: Whitening of the same rows' covariance without shrinkage.
        cross: Cross-covariance (d, columns), divided by rows - 1.
        variance: Variance of each column, divided by rows - 1, (columns,).
        eraser: The eraser; None for the states as they are.

    Returns:
        Sum over columns of explained variance, divided by the sum of their variances; None where the concept does not
        vary.
    """
    total = float(variance.sum())
    if total <= 0:
        return None
    white = sample.whiten(cross)
    if eraser is not None and eraser.rank:
        basis = torch.linalg.qr(eraser.left.to(white.dtype)).Q
        _, sines, rotation = torch.linalg.svd(sample.outside(basis), full_matrices=False)
        lost = torch.linalg.qr(sample.whiten(basis @ rotation[sines <= INSIDE].mT)).Q
        white = white - lost @ (lost.mT @ white)
    return float(white.square().sum()) / total


def removed_variance(spectrum: Spectrum, eraser: Eraser) -> float:
    """Share of the states' total variance in what an eraser takes away: tr((I - P) S (I - P)^T) / tr(S)."""
    values = spectrum.values.clamp(min=0)
    total = float(values.sum())
    if total <= 0:
        return 0.0
    left, right = eraser.left.to(values.dtype), eraser.right.to(values.dtype)
    scores = right @ (spectrum.vectors * values.sqrt())
    return float(((left.mT @ left @ scores) * scores).sum()) / total
