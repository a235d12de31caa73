"""Word errors are the fewest edits between normalised texts."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.models.transcription.words import word_errors

WORDS = st.lists(st.sampled_from(["cat", "dog", "bird", "tree"]), max_size=7)


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein's distance by its definition."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said, start=1):
        before, row[0] = row[0], at
        for column, other in enumerate(heard, start=1):
            best = min(row[column] + 1, row[column - 1] + 1, before + (word != other))
            before, row[column] = row[column], best
    return row[-1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(WORDS, WORDS), max_size=5))
def test_word_errors_are_the_fewest_edits(pairs: list[tuple[list[str], list[str]]]) -> None:
    counts = word_errors([" ".join(said) for said, _ in pairs], [" ".join(heard) for _, heard in pairs])
    assert counts == [(len(said), edits(said, heard)) for said, heard in pairs]


@settings(deadline=None, max_examples=50)
@given(st.text(), st.text())
def test_any_two_texts_can_be_compared(said: str, heard: str) -> None:
    [(words, errors)] = word_errors([said], [heard])
    [(others, _)] = word_errors([heard], [said])
    assert abs(words - others) <= errors <= max(words, others)
    assert word_errors([said], [said]) == [(words, 0)]


def test_writing_does_not_count() -> None:
    said = "Mr. Smith's colour TV cost $20, didn't it?"
    heard = "mister smith's color tv cost twenty dollars did not it"
    [(words, errors)] = word_errors([said], [heard])
    assert errors == 0
    assert words > 5


@pytest.mark.parametrize("nothing", ["", "   ", "[laughs]", "uh", "(noise) "])
def test_where_nothing_was_said_every_word_is_an_error(nothing: str) -> None:
    assert word_errors([nothing, "a cat"], ["two words", nothing]) == [(0, 1 + 1), (2, 2)]


def test_texts_must_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        word_errors(["a"], ["a", "b"])
