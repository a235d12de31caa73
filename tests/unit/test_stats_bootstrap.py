"""Draws and percentile intervals, the paper's way, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.stats import bootstrap
from cascade_equivalence.stats.bootstrap import draw_weights, percentiles
from cascade_equivalence.stats.statistic import Statistic, from_sums


def of_columns(columns: np.ndarray) -> Statistic:
    """The ratio of two columns of sums, (groups, 2)."""
    return from_sums(columns, lambda sums: sums[:, 0] / sums[:, 1], "there are no rows")


@given(groups=st.integers(1, 40), draws=st.integers(1, 1200), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_weights_take_as_many_groups_as_there_are(groups: int, draws: int, seed: int) -> None:
    weights = np.concatenate(list(draw_weights(groups, draws, seed)))
    assert weights.shape == (draws, groups)
    assert (weights.sum(axis=1) == groups).all() and (weights >= 0).all()
    assert np.array_equal(weights, np.concatenate(list(draw_weights(groups, draws, seed))))


def test_weights_are_multinomial() -> None:
    weights = np.concatenate(list(draw_weights(20, 20_000, 3)))
    assert weights.mean(axis=0) == pytest.approx(np.ones(20), abs=0.04)
    assert np.cov(weights.T) == pytest.approx(np.eye(20) - 1 / 20, abs=0.05)


def test_percentiles_are_those_of_each_statistic_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    tables = {
        "whole": np.stack([rng.integers(0, 5, 90), np.full(90, 5)], axis=1).astype(float),
        "others": np.stack([rng.integers(0, 9, 90), np.ones(90)], axis=1).astype(float),
    }
    statistics = {name: of_columns(table) for name, table in tables.items()}
    drawn = [weights.astype(np.float32) for weights in draw_weights(90, 1100, 7)]
    together = percentiles(statistics, np.ones(90), drawn, confidence=0.9)
    for name, statistic in statistics.items():
        values = np.concatenate([statistic.of(weights.astype(float)) for weights in drawn])
        expected = np.quantile(values, [(1 - 0.9) / 2, 1 - (1 - 0.9) / 2])
        assert [together[name].low, together[name].high] == expected.tolist()
    monkeypatch.setattr(bootstrap, "NARROW", 0)
    assert percentiles(statistics, np.ones(90), drawn, confidence=0.9) == together


def test_a_value_that_is_missing_in_a_draw_has_no_interval() -> None:
    only = from_sums(
        np.array([[1.0, 1.0], [1.0, 0.0]]),
        lambda sums: np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0),
        "no row counts",
    )
    drawn = [np.array([[2, 0], [0, 2], [1, 1]], dtype=np.float32)]
    found = percentiles({"o": only}, np.ones(2), drawn, confidence=0.5)["o"]
    assert found.value == 2 and found.low is found.high is None
    assert found.reason and "1 of 3" in found.reason and "no row counts" in found.reason


@given(top=st.lists(st.integers(2**22, 2**40), min_size=2, max_size=8), draws=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_sums_beyond_single_precision_stay_exact(top: list[int], draws: int) -> None:
    weights = next(draw_weights(len(top), draws, 0))
    total = of_columns(np.stack([np.array(top, dtype=float), np.ones(len(top))], axis=1))
    found = percentiles({"t": total}, np.ones(len(top)), [weights.astype(np.float32)], confidence=0.5)["t"]
    exact = [sum(int(w) * value for w, value in zip(row, top, strict=True)) / len(top) for row in weights]
    low, high = np.quantile(exact, [0.25, 0.75]).tolist()
    assert [found.low, found.high] == ([low, high] if low < high else [None, None])
    assert found.value == sum(top) / len(top)
