"""Parsers: every meant answer is understood, nothing is guessed."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.parsing import normalize_answer
from cascade_equivalence.tasks.registry import TASKS
from cascade_equivalence.vocabulary import INVALID

CLOSED = [task for task in TASKS.values() if task.labels and not task.has_options]
WORDS = {
    "ag_news": {"Sci/Tech": "Technology"},
    "sst2": {"positive": "good", "negative": "bad"},
    "meld": {"joy": "happiness", "neutral": "no emotion"},
    "mustard": {"sarcastic": "yes", "sincere": "no"},
}
OPTIONS = ("bank", "new york", "a big shop", "mall", "department store")


@given(
    raw=st.text()
    | st.lists(st.sampled_from([*"ABCDE.,:)(\n *-", "bank", "mall", "World", "joy", "yes", "is"])).map("".join)
)
def test_a_parsed_label_was_said(raw: str) -> None:
    for task in CLOSED:
        for words in ({}, WORDS[task.name]):
            parsed = task.parse(raw, (), words)
            assert parsed in (*task.labels, INVALID)
            assert parsed == INVALID or any(form.lower() in raw.lower() for form in (parsed, words.get(parsed, parsed)))
    letter = TASKS["commonsense_qa"].parse(raw, OPTIONS, {})
    assert letter == INVALID or letter in raw.upper() or OPTIONS["ABCDE".index(letter)] in raw.lower()


def test_a_word_of_two_labels_is_invalid() -> None:
    assert TASKS["sst2"].parse("good", (), {"positive": "good", "negative": "good"}) == INVALID


@pytest.mark.parametrize(
    "raw",
    [
        "A or B",
        "A, B",
        "A. mall",
        "(A) and (D)",
        "A/B",
        "A B",
        "ABCDE",
        "B) bank",
        "F",
        "F) bank",
        "banks",
        "a bank",
        "e.g. bank",
        "A.M.",
        "Be.",
        "",
        "C) a shop, or D",
        "the mall or the bank",
    ],
)
def test_unclear_option_is_invalid(raw: str) -> None:
    assert TASKS["commonsense_qa"].parse(raw, OPTIONS, {}) == INVALID


def test_repeated_option_text_is_invalid_but_its_letter_is_not() -> None:
    options = ("bank", "mall", "bank", "shop", "zoo")
    assert TASKS["commonsense_qa"].parse("bank", options, {}) == INVALID
    assert TASKS["commonsense_qa"].parse("C. bank", options, {}) == "C"


@given(st.text(alphabet=st.sampled_from("aAnthe T_.,'\u2018\u2019\u00b4`-x9\u00e9\n")) | st.text())
def test_normalisation_agrees_with_an_independent_one(text: str) -> None:
    marks = set(string.punctuation) | set("\u2018\u2019\u00b4`")
    blanked = "".join(" " if character in marks else character for character in text.lower())
    expected = " ".join(re.sub(r"(?<!\w)(?:the|an|a)(?!\w)", " ", blanked).split())
    normalised = normalize_answer(text)
    # Where nothing is left of it, an answer keeps what it has.
    assert normalised == (expected or " ".join(blanked.split()) or normalised)
    assert normalize_answer(normalised) == normalised


def _question(*aliases: str) -> Item:
    return Item(id="1", text="Who?", label=aliases[0], group="1", aliases=aliases)


@pytest.mark.parametrize("raw", ["The Beatles", "beatles.", "  the BEATLES!\nAn English band.", "Beatles, the"])
def test_free_answer_matches_an_alias(raw: str) -> None:
    task = TASKS["trivia_qa"]
    assert task.score(task.parse(raw, (), {}), _question("Fab Four", "The Beatles"))


@pytest.mark.parametrize("raw", ["", "\n", "An", "...", "I think the Beatles", "Beatle", "invalid"])
def test_free_answer_that_matches_none(raw: str) -> None:
    task = TASKS["trivia_qa"]
    assert not task.score(task.parse(raw, (), {}), _question("The Beatles", "The", "invalid"))
