"""Which items of a set are asked."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item


def sample(items: Sequence[Item], count: int, seed: int, max_words: int, *, balanced: bool = True) -> list[Item]:
    """Draw a sample that is the same on every machine.

    Items rank by a hash of the seed and their id, so the order in which they come does not matter, and a larger sample
    begins with the smaller one.

    Items with a prosody style share their words and differ in the voice alone. They are drawn by whole groups, and only
    groups that hold every style survive: the words then say nothing about the label, and a system that reads
    transcripts is at chance by construction.

    Args:
        items: All items of a task, all with a style or all without.
        count: Items wanted. Fewer come back where the set is smaller or a whole group no longer fits.
        seed: Seed of the draw.
        max_words: Items with longer texts are left out first.
        balanced: Take the labels in turn, so that their counts differ by at most one until a label runs out. Without
            effect on styled items, which are balanced anyway.

    Returns:
        The sample, in the order of the draw.

    Raises:
        StudyError: If nothing is left, or only some items have a style.
    """
    short = [item for item in items if len(item.text.split()) <= max_words]
    if not short:
        raise StudyError(f"None of {len(items)} items has at most {max_words} words; raise `items.max_words`.")
    styled = {item.style is not None for item in short}
    if len(styled) > 1:
        raise StudyError("Some items have a prosody style and others have none; a task needs one or the other.")
    if styled == {True}:
        return _whole_groups(short, count, seed)
    ranked = sorted(short, key=lambda item: _rank(seed, item.id))
    return (_by_turns(ranked, seed) if balanced else ranked)[:count]


def _rank(seed: int, *names: str) -> str:
    return hashlib.sha256("\x1f".join((str(seed), *names)).encode()).hexdigest()


def _whole_groups(items: Iterable[Item], count: int, seed: int) -> list[Item]:
    """The first groups that fit into `count` together, each with all the styles there are."""
    groups: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.group].append(item)
    styles = Counter({item.style: 1 for group in groups.values() for item in group})
    whole = [name for name, group in groups.items() if Counter(item.style for item in group) == styles]
    if not whole:
        raise StudyError(f"No text comes once in each of the styles {', '.join(sorted(map(str, styles)))}.")
    taken = sorted(whole, key=lambda name: _rank(seed, name))[: count // len(styles)]
    if not taken:
        raise StudyError(
            f"Texts spoken in {len(styles)} styles come in groups of {len(styles)} items, and only {count} were asked "
            f"for; raise `items.per_task` to {len(styles)} or more."
        )
    return [item for name in taken for item in sorted(groups[name], key=lambda item: _rank(seed, item.id))]


def _by_turns(ranked: Iterable[Item], seed: int) -> list[Item]:
    """Rounds of one item a label. Each round has its own order of labels, so an incomplete one favours none."""
    queues: defaultdict[str, list[Item]] = defaultdict(list)
    for item in ranked:
        queues[item.label].append(item)
    rounds = max(map(len, queues.values()))
    return [
        queues[label][turn]
        for turn in range(rounds)
        for label in sorted(queues, key=lambda label: _rank(seed, str(turn), label))
        if turn < len(queues[label])
    ]
