"""LEACE: against the concept-erasure library, against probes fitted on the erased states, and by its own properties."""

import numpy as np
import pytest
import torch
from concept_erasure import LeaceFitter, optimal_linear_shrinkage
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score

from cascade_equivalence.mechanism.controls import matching_window, principal_eraser, random_eraser
from cascade_equivalence.mechanism.leace import Eraser, Spectrum, Whitening, fit, linear_r2, removed_variance

torch.set_num_threads(1)

SHAPES = [(400, 12, 3), (60, 30, 8), (20, 48, 5), (300, 7, 20)]
TOLERANCE = 0.01


def states(n: int, d: int, seed: int, rank: int | None = None) -> torch.Tensor:
    """Correlated states of uneven spread around a large mean, in a subspace of some rank."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(rank or d, d, generator=generator, dtype=torch.float64)
    scale = torch.logspace(1, -1, rank or d, dtype=torch.float64)
    noise = torch.randn(n, rank or d, generator=generator, dtype=torch.float64)
    return (noise * scale) @ mixing + 5 * torch.randn(d, generator=generator, dtype=torch.float64)


def concept(kind: str, x: torch.Tensor, columns: int, seed: int) -> torch.Tensor:
    """Columns that hang together with the states."""
    generator = torch.Generator().manual_seed(seed + 1)
    n, d = x.shape
    scores = (x - x.mean(0)) @ torch.randn(d, columns, generator=generator, dtype=torch.float64)
    scores = scores / scores.std(0) + torch.randn(n, columns, generator=generator, dtype=torch.float64)
    if kind == "one-hot":
        return torch.nn.functional.one_hot(scores.argmax(1), columns).double()
    if kind == "constant":
        scores[:, ::2] = 3.0
    return scores


def moments(x: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Covariance of x divided by n, cross-covariance and variances of z divided by n - 1."""
    cx, cz = x - x.mean(0), z - z.mean(0)
    return cx.T @ cx / len(x), cx.T @ cz / (len(x) - 1), cz.square().sum(0) / (len(x) - 1)


def fitted(x: torch.Tensor, z: torch.Tensor, shrinkage: bool = True, affine: bool = True) -> Eraser:
    covariance, cross, _ = moments(x, z)
    eraser = fit(Whitening.of(covariance, len(x), shrinkage), cross, TOLERANCE).eraser
    return Eraser(eraser.left, eraser.right, x.mean(0) if affine else None)


def planted(classes: int = 4, n: int = 600, d: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """States of which four columns hold a label, well apart."""
    labels = torch.arange(n) % classes
    x = states(n, d, 3)
    x[:, :classes] += 60 * torch.nn.functional.one_hot(labels, classes)
    return x, labels


def accuracy(x: torch.Tensor, labels: torch.Tensor) -> float:
    scaled = (x - x.mean(0)) / x.std(0).clamp(min=1e-6)
    return float(LogisticRegression(max_iter=2000).fit(scaled, labels).score(scaled, labels))


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shrinkage", [False, True])
@pytest.mark.parametrize("rank", [None, 5])
@pytest.mark.parametrize("kind", ["free", "one-hot", "constant"])
@pytest.mark.parametrize(("n", "d", "columns"), SHAPES)
def test_it_is_the_librarys(
    n: int, d: int, columns: int, kind: str, rank: int | None, shrinkage: bool, affine: bool
) -> None:
    x = states(n, d, 0, rank)
    z = concept(kind, x, columns, 0)
    options = {"affine": affine, "shrinkage": shrinkage, "svd_tol": TOLERANCE, "constrain_cov_trace": False}
    theirs = LeaceFitter.fit(x, z, **options).eraser
    ours = fitted(x, z, shrinkage, affine)
    taken = theirs.proj_left @ theirs.proj_right
    assert torch.linalg.norm(ours.left @ ours.right - taken) <= 1e-5 * torch.linalg.norm(taken)
    fresh = states(50, d, 9)
    assert torch.linalg.norm(ours(fresh) - theirs(fresh)) <= 1e-5 * torch.linalg.norm(fresh)
    assert (ours.bias is None) == (theirs.bias is None) == (not affine)
    assert 0 < ours.rank <= min(d, columns - (kind == "one-hot"))
    assert ours.rank == int((theirs.proj_right.abs().sum(1) > 0).sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 80), st.integers(2, 24), st.integers(1, 9), st.booleans(), st.integers(0, 99))
def test_it_is_a_projection_of_bounded_rank(n: int, d: int, columns: int, shrinkage: bool, seed: int) -> None:
    x = states(n, d, seed)
    eraser = fitted(x, concept("free", x, columns, seed), shrinkage)
    torch.testing.assert_close(eraser.P @ eraser.P, eraser.P, atol=1e-6, rtol=1e-6)
    assert eraser.rank <= min(d, columns, n - 1)
    once = eraser(x)
    torch.testing.assert_close(eraser(once), once, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(once, x - (x - x.mean(0)) @ (torch.eye(d, dtype=x.dtype) - eraser.P).T)


def test_one_decomposition_serves_every_concept_and_both_shrinkages() -> None:
    x = states(90, 20, 1)
    z = concept("free", x, 4, 1)
    covariance, cross, _ = moments(x, z)
    spectrum = Spectrum.of(covariance, len(x))
    for shrinkage in (False, True):
        shared = fit(Whitening.of_spectrum(spectrum, shrinkage), cross, TOLERANCE).eraser
        torch.testing.assert_close(shared.P, fitted(x, z, shrinkage).P)
    shrunk = spectrum.vectors @ torch.diag(spectrum.shrunk) @ spectrum.vectors.T
    torch.testing.assert_close(shrunk, optimal_linear_shrinkage(covariance, len(x)))


def test_a_larger_tolerance_keeps_fewer_directions() -> None:
    x = states(300, 10, 2)
    covariance, cross, _ = moments(x, concept("free", x, 5, 2))
    whitening = Whitening.of(covariance, 300, True)
    found = fit(whitening, cross, 1e-9)
    assert found.eraser.rank == 5 and (found.singular.diff() <= 0).all()
    between = float(found.singular[2] + found.singular[3]) / 2
    assert fit(whitening, cross, between).eraser.rank == 3
    assert fit(whitening, cross, 10.0).eraser.rank == 0
    torch.testing.assert_close(fit(whitening, cross, 10.0).eraser(x), x)


@pytest.mark.parametrize("shrinkage", [False, True])
def test_a_planted_label_is_erased_and_a_random_subspace_keeps_it(shrinkage: bool) -> None:
    x, labels = planted()
    z = torch.nn.functional.one_hot(labels).double()
    eraser = fitted(x, z, shrinkage)
    assert accuracy(x, labels) > 0.95
    assert accuracy(eraser(x), labels) <= 0.26
    assert accuracy(random_eraser(16, eraser.rank, 0, 0, 0)(x), labels) > 0.9


def test_the_affine_map_keeps_the_mean_and_the_linear_one_does_not() -> None:
    x, labels = planted()
    z = torch.nn.functional.one_hot(labels).double()
    torch.testing.assert_close(fitted(x, z, affine=True)(x).mean(0), x.mean(0))
    assert torch.linalg.norm(fitted(x, z, affine=False)(x).mean(0) - x.mean(0)) > 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_it_computes_in_float32_or_wider_and_gives_back_the_type_of_its_input(dtype: torch.dtype) -> None:
    x, labels = planted()
    eraser = fitted(x, torch.nn.functional.one_hot(labels).double())
    some = x[:40].to(dtype).reshape(4, 10, -1)
    for own in (eraser, eraser.to("cpu")):
        found = own(some)
        assert found.dtype == dtype and found.shape == some.shape
        torch.testing.assert_close(
            found.double(), eraser(some.double()), atol=1e-4, rtol=max(1e-5, torch.finfo(dtype).eps)
        )


@pytest.mark.parametrize(("n", "d", "columns"), SHAPES)
@pytest.mark.parametrize("rank", [None, 5])
def test_the_probe_from_moments_is_the_probe_from_rows(n: int, d: int, columns: int, rank: int | None) -> None:
    x = states(n, d, 4, rank)
    z = concept("one-hot", x, columns, 4)
    z = z[:, z.sum(0) > 0]
    covariance, cross, variance = moments(x, z)
    sample = Whitening.of(covariance, n, False)

    def by_rows(rows: torch.Tensor) -> float:
        left, size, _ = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
        basis = left[:, size > 1e-9 * torch.linalg.norm(x - x.mean(0))]
        centred = z - z.mean(0)
        return float((basis.T @ centred).square().sum() / centred.square().sum())

    assert linear_r2(sample, cross, variance) == pytest.approx(by_rows(x), abs=1e-8)
    if rank is None and n > 2 * d:
        by_sklearn = r2_score(z, LinearRegression().fit(x, z).predict(x), multioutput="variance_weighted")
        assert by_rows(x) == pytest.approx(by_sklearn)
    for eraser in (fitted(x, z, False), fitted(x, z, True), random_eraser(d, 3, 0, 0, 0), random_eraser(d, 0, 0, 0, 0)):
        assert linear_r2(sample, cross, variance, eraser) == pytest.approx(by_rows(eraser(x)), abs=1e-8)
    low = fitted(x, z, True)
    if low.rank == torch.linalg.matrix_rank(cross):
        assert linear_r2(sample, cross, variance, low) == pytest.approx(0, abs=1e-12)
    assert linear_r2(sample, cross * 0, variance * 0) is None


def test_the_removed_variance_is_that_of_the_rows() -> None:
    x = states(200, 10, 5)
    z = concept("free", x, 3, 5)
    covariance, _, _ = moments(x, z)
    spectrum = Spectrum.of(covariance, 200)
    for eraser in (fitted(x, z), random_eraser(10, 4, 0, 0, 0)):
        gone = (x - eraser(x)).var(0).sum() / x.var(0).sum()
        assert removed_variance(spectrum, eraser) == pytest.approx(float(gone))
    assert removed_variance(spectrum, random_eraser(10, 10, 0, 0, 0)) == pytest.approx(1)
    assert removed_variance(Spectrum.of(covariance * 0, 200), random_eraser(10, 2, 0, 0, 0)) == 0


def test_random_directions_are_orthonormal_repeatable_and_a_layers_own() -> None:
    eraser = random_eraser(32, 6, 1, 2, 3)
    torch.testing.assert_close(eraser.right @ eraser.left, torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close(eraser.P, eraser.P.T)
    assert torch.equal(random_eraser(32, 6, 1, 2, 3).left, eraser.left)
    for other in ((32, 6, 0, 2, 3), (32, 6, 1, 1, 3), (32, 6, 1, 2, 0)):
        assert torch.linalg.norm(random_eraser(*other).left.T @ eraser.left, 2) < 0.999
    assert random_eraser(5, 9, 0, 0, 0).rank == 5 and random_eraser(5, 0, 0, 0, 0).rank == 0


def test_random_directions_prefer_none() -> None:
    total = sum(torch.eye(8) - random_eraser(8, 2, 0, 0, draw).P for draw in range(600)) / 600
    np.testing.assert_allclose(total, np.eye(8) * 2 / 8, atol=0.06)


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 40), st.integers(1, 4), st.floats(0, 1), st.integers(0, 99))
def test_no_stretch_without_as_few_of_the_largest_components_comes_closer_to_the_target(
    d: int, rank: int, target: float, seed: int
) -> None:
    x = states(100, d, seed)
    spectrum = Spectrum.of(moments(x, x)[0], 100)
    window = matching_window(spectrum, rank, target)
    values = spectrum.values.flip(0) / spectrum.values.sum()
    assert window.expected == pytest.approx(rank * float(values[window.first : window.last].mean()))
    assert window.last - window.first >= rank
    for without in range(d - rank + 1):
        shares = [rank * float(values[without:last].mean()) for last in range(without + rank, d + 1)]
        if without <= window.first:
            assert abs(window.expected - target) <= min(abs(share - target) for share in shares) + 1e-9
        if without < window.first:
            # Fewer of the largest are not enough to leave out.
            assert min(shares) > target - 1e-9


@pytest.mark.parametrize("target", [0.02, 0.3, 0.6])
def test_the_principal_control_removes_the_target_on_average(target: float) -> None:
    x = states(500, 40, 6)
    spectrum = Spectrum.of(moments(x, x)[0], 500)
    window = matching_window(spectrum, 4, target)
    made = [principal_eraser(spectrum, window, 4, 0, 0, draw) for draw in range(400)]
    removed = [removed_variance(spectrum, eraser) for eraser in made]
    assert np.mean(removed) == pytest.approx(window.expected, rel=0.1)
    assert window.expected == pytest.approx(target, rel=0.1)
    torch.testing.assert_close(made[0].right @ made[0].left, torch.eye(4, dtype=torch.float64))
