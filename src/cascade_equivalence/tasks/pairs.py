"""Pairs of items with different labels: what is exchanged between them, or heard of the one and typed of the other."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.rank import hash_rank


def pair_items(
    items: Sequence[Item], most: int, task: str, seed: int, *, other_words: bool = False
) -> list[tuple[Item, Item, str]]:
    """Pairs of items with different labels, each both ways round, and the cluster of each.

    Items of one group (readings of a text, a dialogue) are paired with each other where their labels differ, so that
    the words are the same; of the other groups those of two. No group is in more than one cluster.

    Args:
        items: The items.
        most: Pairs at most, both ways round counted, of an odd number one less; each cluster gives one before any
            gives a second.
        task: The task.
        seed: Seed; a group's place depends on it and the group alone.
        other_words: Whether only items of different texts are paired.
    """

    def fits(one: Item, other: Item) -> bool:
        return one.label != other.label and not (other_words and one.text == other.text)

    by_group: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: hash_rank(seed, "patching item", task, item.id)):
        by_group.setdefault(item.group, []).append(item)
    waiting: list[str] = []
    clusters: dict[str, list[tuple[Item, Item]]] = {}
    for group in sorted(by_group, key=lambda group: hash_rank(seed, "patching", task, group)):
        if own := _unlike(by_group[group], fits):
            clusters[group] = own
            continue
        # No two of it fit: all have one label, or one text.
        across = ((name, _across(by_group[name], by_group[group], fits)) for name in waiting)
        other, own = next(((name, pairs) for name, pairs in across if pairs), (None, []))
        if other is None:
            waiting.append(group)
        else:
            waiting.remove(other)
            clusters[f"{other} {group}"] = own
    turns = zip_longest(*([(pair, name) for pair in pairs] for name, pairs in clusters.items()))
    found = [each for turn in turns for each in turn if each is not None]
    return [way for (one, other), name in found[: most // 2] for way in ((one, other, name), (other, one, name))]


def _unlike(items: Sequence[Item], fits: Callable[[Item, Item], bool]) -> list[tuple[Item, Item]]:
    """Items that fit each other, each in one pair at most."""
    left, pairs = list(items), []
    while left:
        item = left.pop(0)
        other = next((each for each in left if fits(item, each)), None)
        if other is not None:
            left.remove(other)
            pairs.append((item, other))
    return pairs


def _across(
    some: Sequence[Item], others: Sequence[Item], fits: Callable[[Item, Item], bool]
) -> list[tuple[Item, Item]]:
    """Items of two groups, in their order, that fit each other."""
    return [(one, other) for one, other in zip(some, others, strict=False) if fits(one, other)]
