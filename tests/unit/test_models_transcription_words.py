"""Word errors are the fewest edits between normalised texts."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.models.transcription.words import word_edits, word_errors

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
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3))
def test_edits_of_all_kinds_make_one_text_of_the_other(pairs: list[tuple[list[str], list[str]]]) -> None:
    there = word_edits([" ".join(said) for said, _ in pairs], [" ".join(heard) for _, heard in pairs])
    back = word_edits([" ".join(heard) for _, heard in pairs], [" ".join(said) for said, _ in pairs])
    for (said, heard), found, turned in zip(pairs, there, back, strict=True):
        assert found.errors == edits(said, heard) == turned.errors
        assert min(found) >= 0 and found.words - found.deleted + found.inserted == len(heard)
        assert found.substituted + found.deleted <= found.words == len(said)


PLAIN = st.text().map(lambda text: text.translate(str.maketrans("()[]<>", "      ")))


@settings(deadline=None, max_examples=50)
@given(PLAIN, PLAIN)
def test_any_two_texts_can_be_compared(said: str, heard: str) -> None:
    [(words, errors)] = word_errors([said], [heard])
    [(others, _)] = word_errors([heard], [said])
    assert abs(words - others) <= errors <= max(words, others)


BRACKETED = st.lists(st.sampled_from([*"()[]<> .',", "cat", "(dog)", "[bird]", "5", "film(s)", "Music"])).map(" ".join)


@settings(deadline=None)
@given(st.text() | BRACKETED | BRACKETED.map(lambda text: text.replace(" ", "")))
def test_a_text_that_was_heard_as_it_stands_has_no_errors(said: str) -> None:
    [(_, errors)] = word_errors([said], [said])
    assert errors == 0


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [
        ("Stocks (Reuters) rose", "Stocks Reuters rose", (3, 0)),
        ("Stocks (Reuters) rose", "Stocks (Reuters) rose", (3, 0)),
        ("Stocks (Reuters) rose", "Stocks [Reuters], rose.", (3, 0)),
        ("Stocks (Reuters) rose", "Stocks rose", (3, 1)),
        ("Stocks (Reuters) rose", "Stocks Writers rose", (3, 1)),
        ("Stocks (Reuters) rose", "[Music] Stocks Reuters rose (applause)", (3, 0)),
        ("It was (really, truly) 20 dollars", "It was really truly twenty dollars", (5, 0)),
        ("It was (really, truly) good", "It was (really) truly good", (5, 0)),
        ("Stocks rose", "[Music] Stocks rose", (2, 0)),
        ("Stocks rose", "Stocks (rose)", (2, 1)),
        ("The film(s) of <b> and [c]", "the films of B and C", (6, 0)),
        ("(Music) by Abba", "[Music] by Abba", (3, 0)),
        ("a (b", "a b", (2, 0)),
    ],
)
def test_what_is_spoken_in_brackets_counts_and_what_only_whisper_writes_there_does_not(
    said: str, heard: str, count: tuple[int, int]
) -> None:
    assert word_errors([said], [heard]) == [count]


def test_writing_does_not_count() -> None:
    said = "Mr. Smith's colour TV cost $20, didn't it?"
    heard = "mister smith's color tv cost twenty dollars did not it"
    [(words, errors)] = word_errors([said], [heard])
    assert errors == 0
    assert words > 5


@pytest.mark.parametrize("nothing", ["", "   ", "uh", "() "])
def test_where_nothing_was_said_every_word_is_an_error(nothing: str) -> None:
    assert word_errors([nothing, "a cat"], ["two words", nothing]) == [(0, 1 + 1), (2, 2)]


@pytest.mark.parametrize("nothing", ["[laughs]", "(noise) ", "[ Music ] <i>"])
def test_what_whisper_brackets_was_not_heard(nothing: str) -> None:
    assert word_errors(["a cat", ""], [nothing, nothing]) == [(2, 2), (0, 0)]


def test_texts_must_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        word_errors(["a"], ["a", "b"])
