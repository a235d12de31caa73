"""The node of activation patching: which items are paired, and the table of what their states carried over."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import polars as pl

from cascade_equivalence.config.mechanism import PatchingConfig
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism.patching import PatchedPair, Restored, read_place
from cascade_equivalence.mechanism.utterances import hash_rank
from cascade_equivalence.nodes.erasure import AUDIO_ARM, TEXT_ARM, build_arms
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.tasks.base import Item

SCHEMA = {
    "arm": pl.String,
    "positions": pl.String,
    "layer": pl.Int64,
    "cluster": pl.String,
    "source_id": pl.String,
    "target_id": pl.String,
    "source": pl.Float64,
    "target": pl.Float64,
    "patched": pl.Float64,
}
"""Columns of a node's table: how the source was taken in (``audio``, ``text``), where its states were put, and log-odds
of its label against the target's in the source's run, the target's, and the target's with the states."""


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


def build_pairs(
    task: str,
    spec: TaskSpec,
    system_prompt: str,
    items: Sequence[Item],
    clips: Sequence[Clip],
    config: PatchingConfig,
) -> tuple[list[tuple[Item, Item, str]], dict[str, list[PatchedPair]]]:
    """Pairs of items, and by arm what is asked of them: the source heard or typed, the target typed; none of one label.

    Args:
        task: The task.
        spec: Its prompt.
        system_prompt: The system prompt.
        items: Its items.
        clips: Its clips in one voice.
        config: How many pairs, and the seed.

    Raises:
        StudyError: Clips and items do not join.
    """
    spoken = {clip.id for clip in clips}
    pairs = pair_items([item for item in items if item.id in spoken], config.per_task, task, config.seed)
    if not pairs:
        return [], {}
    used = {item.id for one, other, _ in pairs for item in (one, other)}
    chosen = [clip for clip in clips if clip.id in used]
    asked = build_arms(task, spec, system_prompt, items, chosen, text_arm=True)
    place = {clip.id: row for row, clip in enumerate(chosen)}
    return pairs, {
        arm: [
            PatchedPair(questions[place[one.id]], asked[TEXT_ARM][place[other.id]], (one.label, other.label))
            for one, other, _ in pairs
        ]
        for arm, questions in ((AUDIO_ARM, asked[AUDIO_ARM]), (TEXT_ARM, asked[TEXT_ARM]))
    }


def write_restored(
    model: str,
    task: str,
    pairs: Sequence[tuple[Item, Item, str]],
    found: Mapping[str, Sequence[Restored]],
    target: Path,
) -> None:
    """Write what was found, one row a pair, arm, layer and place; see ``SCHEMA``."""
    rows = [
        (arm, *read_place(place), cluster, one.id, other.id, each.source, each.target, patched)
        for arm, restored in found.items()
        for (one, other, cluster), each in zip(pairs, restored, strict=True)
        for place, patched in each.patched.items()
    ]
    write_table(pl.DataFrame(rows, schema=SCHEMA, orient="row"), target, {"model": model, "task": task})
