"""Columns of concepts: first words, characters, pitch and energy, shuffled labels."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.mechanism.concept import standardised
from cascade_equivalence.mechanism.concepts import (
    OTHER,
    acoustic,
    bag_of_characters,
    first_words,
    proxy,
)

WORDS = st.lists(
    st.sampled_from(["who ran", "What is it", "the end", "the cat", "Who are you", "", "lone wolf"]), min_size=1
)


def test_first_words_are_normalised() -> None:
    texts = ["What's up?", "  “The” dog", "um, well", "TWENTY five men", "", "?!"]
    assert first_words(texts) == ["what", "the", "well", "25", "", ""]


@settings(max_examples=50, deadline=None)
@given(WORDS)
def test_every_text_has_one_class_and_a_class_two_texts(texts: list[str]) -> None:
    columns = proxy(texts)
    words = first_words(texts)
    assert columns.values.shape == (len(texts), len(columns.names))
    assert (columns.values.sum(1) == 1).all() and (columns.values.sum(0) > 0).all()
    counts = Counter(words)
    for word, row in zip(words, columns.values, strict=True):
        assert columns.names[row.argmax()] == (word if word and counts[word] > 1 else OTHER)
    assert (columns.reason is None) == (len(columns.names) > 1)


def test_the_commonest_words_can_be_kept_however_rare() -> None:
    texts = ["the a", "the b", "who", "one", "two", "who"]
    assert proxy(texts).names == ("the", "who", OTHER)
    assert proxy(texts, 1).names == ("the", OTHER)
    assert proxy(texts, 3).names == ("the", "who", "2", OTHER)
    assert proxy(texts, 9).names == ("the", "who", "2", "one")


def test_where_nothing_repeats_it_says_so() -> None:
    assert "none begins two" in str(proxy(["one", "two", "three"]).reason)
    assert "all begin with 'the'" in str(proxy(["the cat", "the dog"]).reason)
    assert proxy(["the cat", "the dog", "a cow"]).reason is None


def test_characters_are_standardised_over_the_rows_they_are_fitted_on() -> None:
    texts = ["abba", "a b", "bbbb", "cab ab"]
    weights = np.array([3, 1, 5, 2])
    columns = bag_of_characters(texts, "ab z", weights)
    assert columns.names == ("a", "b", " ", "z")
    rows = np.repeat(columns.values, weights, 0)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(0), [1, 1, 1, 0], atol=1e-12)


def test_an_utterance_without_pitch_adds_nothing_to_its_covariance() -> None:
    generator = np.random.default_rng(0)
    n, weights = 40, np.random.default_rng(1).integers(1, 9, 40)
    states = generator.normal(size=(n, 5))
    pitch = states @ generator.normal(size=5) + 5
    pitch[::4] = np.nan
    columns = acoustic(generator.normal(-30, 5, n), pitch, weights)
    assert columns.names == ("energy_db", "log_f0") and np.isfinite(columns.values).all()
    assert not columns.values[::4, 1].any()
    rows = np.repeat(np.arange(n), weights)
    np.testing.assert_allclose(columns.values[rows].mean(0), 0, atol=1e-12)
    voiced = rows[rows % 4 > 0]
    np.testing.assert_allclose(columns.values[voiced, 1].std(), 1)
    imputed = (states[rows] - states[rows].mean(0)).T @ columns.values[rows, 1]
    left_out = (states[voiced] - states[voiced].mean(0)).T @ columns.values[voiced, 1]
    np.testing.assert_allclose(imputed, left_out, atol=1e-9)


@pytest.mark.parametrize("pitch", [np.full(5, np.nan), np.full(5, 4.9)])
def test_pitch_that_does_not_vary_is_no_concept(pitch: np.ndarray) -> None:
    columns = acoustic(np.arange(5.0), pitch, np.ones(5))
    assert not columns.values[:, 1].any() and columns.values[:, 0].any()


def test_constants_stay_finite() -> None:
    values = np.column_stack([np.full(7, 0.1), np.full(7, -1e9), np.zeros(7), np.arange(7)])
    found = standardised(values, np.arange(1, 8))
    assert not found[:, :3].any() and found[:, 3].any()
