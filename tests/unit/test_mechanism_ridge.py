"""Ridge probes against scikit-learn, and against what was planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cascade_equivalence.mechanism.ridge import (
    CONSTANT_TARGET,
    Decomposition,
    explained,
    fit_predict,
    item_folds,
    r_squared_of_test,
)
from cascade_equivalence.stats.statistic import estimate

PENALTIES = [10.0**power for power in range(-2, 7)]
SHAPES = pytest.mark.parametrize(("rows", "width"), [(60, 7), (24, 24), (25, 90)])


def data(seed: int, rows: int, width: int, targets: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States off centre with unequal spreads, targets that lean on them more or less, and states of a test part."""
    rng = np.random.default_rng(seed)
    spread, centre = np.exp(rng.normal(0, 2, width)), rng.normal(0, 5, width)
    train, test = (centre + spread * rng.standard_normal((n, width)) for n in (rows, 11))
    noise = np.geomspace(0.01, 30, targets)
    return (
        train,
        train / spread @ rng.standard_normal((width, targets)) + noise * rng.standard_normal((rows, targets)),
        test,
    )


def reference(train: np.ndarray, targets: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    """Predictions by scikit-learn."""
    return (
        make_pipeline(StandardScaler(), Ridge(penalty, solver="svd"))
        .fit(train, targets)
        .predict(test)
        .reshape(len(test), -1)
    )


def share(truth: np.ndarray, predicted: np.ndarray, centre: np.ndarray, items: list[str] | None = None) -> float:
    """The R2 against a centre on the rows as they are."""
    found = explained(truth, predicted, centre, items or [f"{row:03}" for row in range(len(truth))])
    return float(found.share(np.ones((1, found.count)))[0])


@SHAPES
def test_every_penalty_predicts_as_scikit_learn(rows: int, width: int) -> None:
    train, targets, test = data(0, rows, width)
    found = Decomposition.of(train).predict(targets, test, np.array(PENALTIES))
    for penalty, predicted in zip(PENALTIES, found, strict=True):
        np.testing.assert_allclose(predicted, reference(train, targets, test, penalty), atol=1e-8, rtol=1e-8)


@SHAPES
@pytest.mark.parametrize("blocks", [[0, 1, 2, 3, 4], [0, 0, 1, 1, 1]])
def test_penalties_are_those_of_the_least_error_on_held_out_items(rows: int, width: int, blocks: list[int]) -> None:
    train, targets, test = data(1, rows, width)
    items = [f"item {row // 2}" for row in range(rows)]
    folds = item_folds(items, 4, seed=3)
    found = fit_predict(train, targets, test, blocks=blocks, folds=folds, penalties=PENALTIES)
    for block in set(blocks):
        columns = [column for column, own in enumerate(blocks) if own == block]
        errors = []
        for penalty in PENALTIES:
            held_out = np.empty((rows, len(columns)))
            for fold in range(4):
                out = folds == fold
                held_out[out] = reference(train[~out], targets[~out][:, columns], train[out], penalty)
            errors.append(((held_out - targets[:, columns]) ** 2).sum())
        best = PENALTIES[int(np.argmin(errors))]
        assert (found.penalties[columns] == best).all()
        predicted = reference(train, targets[:, columns], test, best)
        np.testing.assert_allclose(found.values[:, columns], predicted, atol=1e-8, rtol=1e-8)


def test_targets_pick_different_penalties_and_do_not_disturb_each_other() -> None:
    train, targets, test = data(2, 80, 30)
    folds = item_folds([str(row) for row in range(80)], 5, seed=0)
    together = fit_predict(train, targets, test, blocks=range(5), folds=folds, penalties=PENALTIES)
    assert len(set(together.penalties)) > 1
    for column in range(5):
        alone = fit_predict(train, targets[:, [column]], test, blocks=[0], folds=folds, penalties=PENALTIES)
        np.testing.assert_allclose(alone.values[:, 0], together.values[:, column], atol=1e-10)
        assert alone.penalties[0] == together.penalties[column]


@given(st.lists(st.sampled_from("abcdefghij"), min_size=2).filter(lambda items: len(set(items)) > 1), st.data())
def test_folds_hold_whole_items_in_equal_numbers_whatever_the_order(items: list[str], draw: st.DataObject) -> None:
    count, seed = draw.draw(st.integers(2, 6)), draw.draw(st.integers(0, 5))
    folds = item_folds(items, count, seed)
    of_item = {item: {int(fold) for other, fold in zip(items, folds, strict=True) if other == item} for item in items}
    assert all(len(own) == 1 for own in of_item.values())
    sizes = np.bincount([next(iter(own)) for own in of_item.values()])
    assert len(sizes) == min(count, len(of_item)) and sizes.max() - sizes.min() <= 1
    order = draw.draw(st.permutations(range(len(items))))
    np.testing.assert_array_equal(item_folds([items[row] for row in order], count, seed), folds[list(order)])


@SHAPES
def test_what_was_planted_is_found_and_noise_is_not(rows: int, width: int) -> None:
    rng = np.random.default_rng(0)
    # A direction that the states vary along, as a wide state with few rows has to have.
    latent = rng.standard_normal((rows + 200, 2))
    states = latent @ rng.standard_normal((2, width)) * 3 + 0.1 * rng.standard_normal((rows + 200, width))
    targets = np.stack([latent[:, 0], rng.standard_normal(rows + 200)], axis=1)
    folds = item_folds([str(row) for row in range(rows)], 5, seed=0)
    found = fit_predict(states[:rows], targets[:rows], states[rows:], blocks=[0, 1], folds=folds, penalties=PENALTIES)
    centre = targets[:rows].mean(axis=0)
    assert share(targets[rows:, :1], found.values[:, :1], centre[:1]) > 0.95
    assert share(targets[rows:, 1:], found.values[:, 1:], centre[1:]) < 0.05


@SHAPES
def test_shift_and_scale_of_the_states_and_the_order_of_the_rows_do_not_matter(rows: int, width: int) -> None:
    train, targets, test = data(4, rows, width)
    rng = np.random.default_rng(5)
    items = [f"item {row // 3}" for row in range(rows)]
    scale, shift = np.exp(rng.normal(0, 2, width)) * rng.choice([-1, 1], width), rng.normal(0, 10, width)
    order = rng.permutation(rows)
    options = {"blocks": [0, 1, 2, 3, 4], "penalties": PENALTIES}
    plain = fit_predict(train, targets, test, folds=item_folds(items, 4, 0), **options)
    moved = fit_predict(
        (train * scale + shift)[order],
        targets[order],
        test * scale + shift,
        folds=item_folds([items[row] for row in order], 4, 0),
        **options,
    )
    np.testing.assert_array_equal(plain.penalties, moved.penalties)
    np.testing.assert_allclose(plain.values, moved.values, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("width", [5, 50])
def test_columns_that_do_not_vary_say_nothing(width: int) -> None:
    train, targets, test = data(6, 30, width)
    # The mean of equal values need not be that value: 0.1 is no exact fraction of two.
    wider = [np.hstack([states, np.full((len(states), 3), 0.1)]) for states in (train, test)]
    wider[1][:, -1] = 7
    found = [Decomposition.of(a).predict(targets, b, np.array([1.0])) for a, b in ((train, test), wider)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-8)


TRUTHS = st.integers(2, 30).flatmap(
    lambda rows: st.tuples(st.just(rows), st.integers(1, 4), st.integers(0, 10**6), st.floats(0, 3))
)


def planted(shape: tuple[int, int, int, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, predictions of them, and a centre near theirs."""
    rows, columns, seed, noise = shape
    rng = np.random.default_rng(seed)
    # Not so small a spread that single rows are within rounding of their mean: those count as equal to it.
    spreads = np.exp(rng.normal(0, 2, columns).clip(min=-2))
    truth = rng.standard_normal((rows, columns)) * spreads + 10
    return truth, truth + noise * rng.standard_normal((rows, columns)), 10 + rng.standard_normal(columns) / 5


@given(TRUTHS)
def test_against_the_test_mean_it_is_scikit_learns(shape: tuple[int, int, int, float]) -> None:
    truth, predicted, _ = planted(shape)
    expected = r2_score(truth, predicted, multioutput="variance_weighted")
    assert r_squared_of_test(truth, predicted) == pytest.approx(expected)
    assert share(truth, predicted, truth.mean(axis=0)) == pytest.approx(expected)
    assert r_squared_of_test(truth, predicted, uniform=True) == pytest.approx(r2_score(truth, predicted))


@settings(max_examples=50)
@given(TRUTHS, st.integers(1, 8))
def test_r2_is_one_minus_the_ratio_of_two_sums_and_weights_count_items_as_often(
    shape: tuple[int, int, int, float], groups: int
) -> None:
    truth, predicted, centre = planted(shape)
    rows, _, seed, _ = shape
    rng = np.random.default_rng(seed)
    own = rng.integers(0, groups, rows)
    found = explained(truth, predicted, centre, [str(group) for group in own])
    weights = rng.integers(0, 3, found.count)
    often = weights[[found.items.index(str(group)) for group in own]]
    missed, there = (float((often[:, None] * (truth - each) ** 2).sum()) for each in (predicted, centre))
    value = found.share(weights[None].astype(float))[0]
    assert np.isnan(value) if there == 0 else value == pytest.approx(1 - missed / there)


@settings(max_examples=50)
@given(TRUTHS)
def test_a_value_lies_in_its_interval_and_knowing_nothing_is_worth_nothing(
    shape: tuple[int, int, int, float],
) -> None:
    rows, columns, seed, noise = shape
    truth, predicted, centre = planted((rows + 10, columns, seed, noise))
    names = [f"{row:03}" for row in range(len(truth))]
    found = estimate({"r2": explained(truth, predicted, centre, names).statistic("")}, len(names), 0.95)["r2"]
    assert found.value is not None
    if found.reason is None:
        assert found.low is not None and found.high is not None and found.low < found.value < found.high <= 1
    nothing = np.broadcast_to(centre, truth.shape)
    assert share(truth, nothing, centre) == 0
    assert share(truth, truth, centre) == 1


def test_copies_of_rows_under_the_same_item_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((30, 3))
    predicted = truth + rng.standard_normal((30, 3))
    names = [f"{row:02}" for row in range(30)]
    found = []
    for copies in (1, 5):
        tall = np.tile(truth, (copies, 1)), np.tile(predicted, (copies, 1))
        statistic = explained(*tall, np.zeros(3), names * copies).statistic("")
        found.append(estimate({"r2": statistic}, 30, 0.95)["r2"])
    assert found[0].low is not None and found[0].low < found[0].value < found[0].high
    assert [found[1].low, found[1].value, found[1].high] == pytest.approx([found[0].low, found[0].value, found[0].high])


def test_two_predictions_of_the_same_items_are_compared_item_by_item() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((40, 2))
    names = [f"{row:02}" for row in range(40)]
    shared = rng.standard_normal((40, 2))
    one, other = (explained(truth, truth + shared * size, np.zeros(2), names) for size in (0.8, 0.9))
    estimates = estimate(
        {"one": one.statistic(""), "other": other.statistic(""), "minus": one.minus(other, "")}, 40, 0.95
    )
    assert estimates["minus"].value == pytest.approx(estimates["one"].value - estimates["other"].value)
    assert estimates["one"].low < estimates["other"].high and estimates["minus"].low > 0
    again = one.minus(one, "")
    assert estimate({"none": again}, 40, 0.95)["none"].value == 0


def test_intervals_cover_at_few_and_at_many_items() -> None:
    """A quick look; ``benchmarks/probe_intervals.py`` has the table."""
    for columns in (1, 27):
        inside = 0
        for seed in range(300):
            rng = np.random.default_rng([columns, seed])
            centre = rng.standard_normal(columns) / 7
            signal = rng.standard_normal((13, columns)) * 0.3
            truth = signal + rng.standard_normal((13, columns)) * np.sqrt(0.91)
            names = [f"{row:02}" for row in range(13)]
            found = estimate({"r2": explained(truth, signal, centre, names).statistic("")}, 13, 0.95)["r2"]
            real = 1 - 0.91 * columns / (columns + float(centre @ centre))
            inside += bool(found.low <= real <= found.high)
        assert 0.9 < inside / 300 < 0.99, columns


def test_r2_of_a_constant_target_is_undefined_and_left_out_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    truth = np.stack([np.full(20, 0.1), rng.standard_normal(20)], axis=1)
    predicted = truth + rng.standard_normal((20, 2))
    assert r_squared_of_test(truth[:, :1], predicted[:, :1]) is None
    assert r_squared_of_test(truth, predicted, uniform=True) == pytest.approx(r2_score(truth[:, 1], predicted[:, 1]))
    hollow = explained(truth[:, :1], predicted[:, :1], np.array([0.1]), [f"{row:02}" for row in range(20)])
    found = estimate({"r2": hollow.statistic(CONSTANT_TARGET)}, 20, 0.95)["r2"]
    assert (found.value, found.reason) == (None, CONSTANT_TARGET)
