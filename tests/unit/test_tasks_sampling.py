"""Samples: the same everywhere, nested, balanced where they should be, and fair to the words."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.sampling import sample

STYLES = ("neutral", "joy", "anger")


def _items(sizes: dict[str, int]) -> list[Item]:
    return [
        Item(id=f"{label}-{n}", text=f"word number {n}", label=label, group=str(n % 3))
        for label in sizes
        for n in range(sizes[label])
    ]


def _styled(texts: int) -> list[Item]:
    return [
        Item(id=f"{n}-{style}", text=f"text {n}", label=style, group=f"g{n}", style=style)
        for n in range(texts)
        for style in STYLES
    ]


SIZES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 12), min_size=1)


@given(sizes=SIZES, count=st.integers(1, 60), seed=st.integers(0, 9), balanced=st.booleans(), shuffle=st.randoms())
def test_order_does_not_matter_and_larger_samples_begin_with_smaller(
    sizes: dict[str, int], count: int, seed: int, balanced: bool, shuffle: random.Random
) -> None:
    items = _items(sizes)
    drawn = sample(items, count, seed, 60, balanced=balanced)
    shuffle.shuffle(items)
    assert sample(items, count, seed, 60, balanced=balanced) == drawn
    assert len(drawn) == len(set(drawn)) == min(count, len(items))
    assert sample(items, count + 1, seed, 60, balanced=balanced)[:count] == drawn


@given(sizes=SIZES, count=st.integers(1, 60), seed=st.integers(0, 9))
def test_labels_differ_by_one_until_one_runs_out(sizes: dict[str, int], count: int, seed: int) -> None:
    counts = Counter(item.label for item in sample(_items(sizes), count, seed, 60))
    most = max(counts.values())
    assert all(counts[label] >= min(most - 1, sizes[label]) for label in sizes)


def test_unbalanced_sample_keeps_the_distribution() -> None:
    drawn = sample(_items({"a": 900, "b": 100}), 400, 0, 60, balanced=False)
    # Four standard deviations of a hypergeometric draw are 19.
    assert abs(Counter(item.label for item in drawn)["b"] - 40) < 19


def test_seed_changes_the_sample() -> None:
    items = _items({"a": 50, "b": 50})
    assert {item.id for item in sample(items, 20, 0, 60)} != {item.id for item in sample(items, 20, 1, 60)}


@given(texts=st.integers(1, 12), count=st.integers(len(STYLES), 50), seed=st.integers(0, 9), shuffle=st.randoms())
def test_words_say_nothing_about_a_styled_label(texts: int, count: int, seed: int, shuffle: random.Random) -> None:
    items = _styled(texts)
    shuffle.shuffle(items)
    drawn = sample(items, count, seed, 60)
    by_text = defaultdict(list)
    for item in drawn:
        by_text[item.text].append(item.label)
    # Any function of the text is right for exactly one style of each text: chance.
    assert all(sorted(labels) == sorted(STYLES) for labels in by_text.values())
    assert len(drawn) == min(count // len(STYLES), texts) * len(STYLES)
    assert sample(items, count + len(STYLES), seed, 60)[: len(drawn)] == drawn


def test_incomplete_groups_are_left_out() -> None:
    items = _styled(3)[1:]
    assert {item.group for item in sample(items, 100, 0, 60)} == {"g1", "g2"}


def test_long_texts_are_left_out() -> None:
    items = [Item(id=str(n), text=" ".join("x" * n), label="a", group="g") for n in range(1, 10)]
    assert {item.id for item in sample(items, 100, 0, 5)} == {"1", "2", "3", "4", "5"}


@pytest.mark.parametrize(
    ("items", "count", "words", "message"),
    [
        ([], 5, 60, "max_words"),
        (_items({"a": 3}), 5, 2, "max_words"),
        (_styled(3), 2, 60, "per_task"),
        (_styled(1)[:1] + _items({"a": 2}), 5, 60, "prosody style"),
        ([*_styled(1)[:1], *_styled(2)[4:5]], 5, 60, "No text"),
    ],
)
def test_nothing_left_is_an_error(items: list[Item], count: int, words: int, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        sample(items, count, 0, words)
