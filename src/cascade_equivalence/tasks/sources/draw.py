"""The items of a published set that a study asks: checked, sampled, and filled up where the set is too small."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.sampling import sample
from cascade_equivalence.tasks.sources.checks import LoadedSet, load_set
from cascade_equivalence.tasks.sources.resources import read_resources


@runtime_checkable
class HasReserve(Protocol):
    """A task whose set has further items, which fill a sample up."""

    def reserve_files(self, folder: Path) -> list[Path]:
        """Find their files below the folder of the published sets; none if they are not there."""

    def load_reserve(self, folder: Path) -> list[Item]:
        """Read them; none if their files are not there."""


def prepare_published(
    task: Task, folder: Path, resources: Path, count: int, seed: int, max_words: int, *, complete: bool
) -> tuple[list[Item], list[str]]:
    """Load a published set, check it, and draw the items that a study asks.

    Args:
        task: The task.
        folder: Folder of the published sets, one sub-folder a task.
        resources: The project's folder of resources, with the list of sources and the lists of known faults.
        count: Items wanted.
        seed: Seed of the draw.
        max_words: Items with longer texts are left out.
        complete: False accepts a part of a set.

    Returns:
        The sample in the order of the draw, and lines for the log.

    Raises:
        StudyError: If the set is not as it was published, or nothing is left to ask.
    """
    known = read_resources(task.name, resources)
    loaded = load_set(task, folder, known.pin.expected, known.exclusions, complete=complete)
    return draw(task, loaded, folder, count, seed, max_words)


def draw(
    task: Task, loaded: LoadedSet, folder: Path, count: int, seed: int, max_words: int
) -> tuple[list[Item], list[str]]:
    """Draw the items that a study asks.

    Args:
        task: The task.
        loaded: Its set.
        folder: Folder of the published sets, for the reserve.
        count: Items wanted.
        seed: Seed of the draw.
        max_words: Items with longer texts are left out.

    Returns:
        The sample in the order of the draw, the items of the reserve last; and what is worth a line in the log.

    Raises:
        StudyError: If nothing is left to ask.
    """
    items = sample(loaded.items, count, seed, max_words, balanced=task.balanced)
    notes = loaded.notes(max_words)
    if len(items) < count and isinstance(task, HasReserve):
        added = top_up(items, task.load_reserve(folder), count, seed, max_words, balanced=task.balanced)
        notes.append(f"{len(items)} items of the set, and {len(added)} of its reserve:")
        notes.append(", ".join(item.id for item in added) or "the file with the reserve is not there")
        items += added
    notes.append(f"{len(items)} items asked; {_counts(items) if task.labels else 'free answers'}")
    return items, notes


def top_up(
    drawn: Sequence[Item], reserve: Sequence[Item], count: int, seed: int, max_words: int, *, balanced: bool
) -> list[Item]:
    """Choose items of a reserve, the same on every machine.

    They rank by a hash of the seed and their id, as in a sample. Those whose words an item has already, whatever their
    case and punctuation, are passed over.

    Args:
        drawn: Items that are asked already.
        reserve: Where the others come from.
        count: Items wanted in all.
        seed: Seed of the draw.
        max_words: Items with longer texts are left out.
        balanced: Take the label that has fewest items so far, those of `drawn` included.

    Returns:
        The chosen items, in the order of the draw; fewer than are missing where the reserve is too small.

    Raises:
        StudyError: If an id is in both.
    """
    if both := {item.id for item in drawn} & {item.id for item in reserve}:
        raise StudyError(f"Items are in the set and in its reserve: {', '.join(sorted(both))}.")
    if not reserve:
        return []
    said = {_words(item.text) for item in drawn}
    waiting: dict[str, list[Item]] = {}
    for item in reversed(sample(reserve, len(reserve), seed, max_words, balanced=False)):
        waiting.setdefault(item.label if balanced else "", []).append(item)
    have = Counter(item.label if balanced else "" for item in drawn)
    chosen: list[Item] = []
    while len(drawn) + len(chosen) < count and any(waiting.values()):
        label = min((label for label, items in waiting.items() if items), key=lambda label: (have[label], label))
        item = waiting[label].pop()
        if (words := _words(item.text)) not in said:
            said.add(words)
            have[label] += 1
            chosen.append(item)
    return chosen


def _words(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _counts(items: Sequence[Item]) -> str:
    return ", ".join(f"{count} {label}" for label, count in Counter(item.label for item in items).most_common())
