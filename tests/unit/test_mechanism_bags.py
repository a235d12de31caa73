"""Bags of tokens: what was spoken scores 1, what was not 0, and chance is what other utterances' words score."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_llm import BREAK, CORPUS, byte_level_tokenizer, sentencepiece_tokenizer
from transformers import PreTrainedTokenizerBase

from cascade_equivalence.mechanism.bags import Overlap, Pieces, Reference, chance, overlap, overlaps
from cascade_equivalence.mechanism.said import pairings, text_numbers

TOKENIZERS: dict[str, PreTrainedTokenizerBase] = {
    "bytes": byte_level_tokenizer(),
    "sentencepiece": sentencepiece_tokenizer(),
}
PIECES = {name: Pieces(tokenizer) for name, tokenizer in TOKENIZERS.items()}
TEXTS = [CORPUS[2], "What is the capital city of France?", "the answer is, Paris; the answer: London"]
names = st.sampled_from(sorted(TOKENIZERS))
bags = st.lists(st.sampled_from("abcdef"), max_size=12).map(Counter)


def ids(name: str, text: str) -> list[int]:
    return list(TOKENIZERS[name](text, add_special_tokens=False)["input_ids"])


def reference_of(either: Counter[str], spaced: Counter[str] | None = None) -> Reference:
    return Reference(either if spaced is None else either | spaced, either if spaced is None else spaced)


@pytest.mark.parametrize("multiset", [False, True])
@pytest.mark.parametrize("lead", ["", " "])
@pytest.mark.parametrize("text", TEXTS)
@given(name=names)
def test_what_was_spoken_is_all_right(multiset: bool, lead: str, text: str, name: str) -> None:
    pieces = PIECES[name]
    shown = Counter(pieces.kept(ids(name, lead + text)))
    found = overlap(shown, pieces.reference(text), multiset)
    assert found.precision == 1
    if lead:
        assert found.recall == 1


@given(names, st.text(max_size=30))
def test_what_counts_is_bare_and_has_a_letter_or_a_digit(name: str, text: str) -> None:
    for piece in PIECES[name].kept(ids(name, text)):
        assert piece == piece.strip() == piece.lower() and piece.strip(".,;:!?'\"\ufffd -_/()[]{}<>|")


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_control_tokens_and_unknown_numbers_do_not_count(name: str) -> None:
    tokenizer, pieces = TOKENIZERS[name], PIECES[name]
    control = [*tokenizer.all_special_ids, len(tokenizer), len(tokenizer) + 2, -1]
    if name == "bytes":
        control += tokenizer.convert_tokens_to_ids(["<|tool|>", "<|im_start|>", BREAK])
    assert pieces.kept(control) == [] and pieces.text(control) == ""
    words = ids(name, TEXTS[1])
    assert pieces.kept([*control, *words, *control]) == pieces.kept(words) != []


def test_markup_that_is_not_marked_as_special_is_a_control_token() -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens(["<tool_call>", "<|AUDIO|>", "goalkeeping"])
    added = tokenizer.convert_tokens_to_ids(["<tool_call>", "<|AUDIO|>", "goalkeeping"])
    assert Pieces(tokenizer).kept(added) == ["goalkeeping"]


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_text_takes_runs_as_one(name: str) -> None:
    pieces, end = PIECES[name], TOKENIZERS[name].eos_token_id
    words = ids(name, TEXTS[0])
    assert pieces.text(words) == TEXTS[0]
    assert pieces.text([token for token in words for _ in range(3)]) == pieces.text([end, *words, end]) == TEXTS[0]


def test_what_stands_between_two_equal_tokens_keeps_them_apart() -> None:
    pieces, end = PIECES["bytes"], TOKENIZERS["bytes"].eos_token_id
    (word,) = ids("bytes", " the")
    assert [pieces.text([word, between, word]) for between in (end, word)] == ["the the", "the"]


def test_text_is_one_line() -> None:
    assert PIECES["bytes"].text(ids("bytes", " a\n\n b\t c ")) == "a b c"


@given(bags, bags, bags, st.booleans())
def test_agrees_with_counting_by_hand(
    shown: Counter[str], plain: Counter[str], spaced: Counter[str], clip: bool
) -> None:
    found = overlap(shown, reference_of(plain, spaced), clip)
    right = wrong = 0
    left = dict(plain | spaced)
    for piece in shown.elements():
        hit = left.get(piece, 0) > 0
        right, wrong = right + hit, wrong + (not hit)
        if hit and clip:
            left[piece] -= 1
    assert found.precision == (right / (right + wrong) if shown else None)
    left, hits = dict(shown), []
    for piece in spaced.elements():
        hits.append(left.get(piece, 0) > 0)
        if hits[-1] and clip:
            left[piece] -= 1
    assert found.recall == (np.mean(hits) if hits else None)


@given(bags, bags)
def test_a_multiset_never_scores_more(shown: Counter[str], spoken: Counter[str]) -> None:
    free, clipped = (overlap(shown, reference_of(spoken), multiset) for multiset in (False, True))
    for one, other in ((free.precision, clipped.precision), (free.recall, clipped.recall)):
        assert (one is None) == (other is None)
        assert one is None or 0 <= other <= one <= 1


def test_nothing_shown_is_no_precision_and_no_recall() -> None:
    assert overlap(Counter(), reference_of(Counter("ab")), False) == Overlap(None, 0.0)
    assert overlap(Counter("ab"), reference_of(Counter()), True) == Overlap(0.0, None)


@given(st.integers(0, 12), st.integers(1, 4), st.integers(0, 5))
def test_pairings_leave_nothing_in_its_place(count: int, shuffles: int, seed: int) -> None:
    found = pairings(count, shuffles, seed)
    assert len(found) == shuffles
    for partner in found:
        assert sorted(partner.tolist()) == list(range(count))
        assert count < 2 or not np.any(partner == np.arange(count))
    assert all(np.array_equal(a, b) for a, b in zip(found, pairings(count, shuffles, seed), strict=True))


def test_every_other_utterance_is_as_likely_a_partner() -> None:
    drawn = np.stack(pairings(4, 3000, 0))
    for place in range(4):
        share = np.bincount(drawn[:, place], minlength=4) / len(drawn)
        assert share[place] == 0 and np.allclose(np.delete(share, place), 1 / 3, atol=0.04)


@given(st.lists(st.tuples(bags, bags), min_size=1, max_size=6), st.booleans(), st.integers(0, 3))
def test_chance_is_the_mean_over_the_pairings(
    both: list[tuple[Counter[str], Counter[str]]], multiset: bool, seed: int
) -> None:
    shown, references = [bag for bag, _ in both], [reference_of(spoken) for _, spoken in both]
    found = chance(shown, references, np.arange(len(both)), 7, multiset, seed)
    for place, (bag, own) in enumerate(zip(shown, references, strict=True)):
        met = [references[partner[place]] for partner in pairings(len(both), 7, seed)]
        scores = [overlap(bag, other, multiset) for other in met if other != own]
        for name in ("precision", "recall"):
            values = [value for score in scores if (value := getattr(score, name)) is not None]
            assert getattr(found[place], name) == (pytest.approx(np.mean(values)) if values else None)


def test_words_of_its_own_score_above_chance_and_common_words_at_it() -> None:
    own = [Counter({f"word{n}": 3}) for n in range(20)]
    spoken = [reference_of(Counter({f"word{n}": 1, "the": 2})) for n in range(20)]
    assert {score.precision for score in chance(own, spoken, np.arange(20), 5, False, 0)} == {0.0}
    assert {score.precision for score in overlaps(own, spoken, False)} == {1.0}
    common = [Counter({"the": 4})] * 20
    assert chance(common, spoken, np.arange(20), 5, False, 0) == [Overlap(1.0, pytest.approx(2 / 3))] * 20
    assert overlaps(common, spoken, False) == [Overlap(1.0, pytest.approx(2 / 3))] * 20


def test_one_text_has_no_chance_level() -> None:
    for readings in (1, 3):
        said = np.zeros(readings, dtype=int)
        found = chance([Counter("ab")] * readings, [reference_of(Counter("ab"))] * readings, said, 3, False, 0)
        assert found == [Overlap(None, None)] * readings


@given(st.lists(st.tuples(bags, bags), min_size=1, max_size=6), st.integers(2, 4), st.booleans(), st.integers(0, 3))
def test_readings_of_a_text_change_no_chance(
    both: list[tuple[Counter[str], Counter[str]]], voices: int, turns: bool, seed: int
) -> None:
    """Whether a voice speaks all texts before the next one does, or all voices each text in turn."""
    rows = [place for place in range(len(both)) for _ in range(voices)] if turns else [*range(len(both))] * voices
    texts = [str(place) for place in rows]
    shown, spoken = zip(*(both[place] for place in rows), strict=True)
    once = chance([bag for bag, _ in both], [reference_of(bag) for _, bag in both], np.arange(len(both)), 4, True, seed)
    found = chance(shown, [reference_of(bag) for bag in spoken], text_numbers(texts), 4, True, seed)
    assert found == [once[place] for place in rows]
