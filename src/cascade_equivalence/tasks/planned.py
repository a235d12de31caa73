"""How many items a task has and how long they are, before its set is fetched."""

from typing import Literal

from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.tasks.sources.draw import HasReserve
from cascade_equivalence.tasks.sources.resources import SetResources

Basis = Literal["clips", "items", "figures"]
"""What a plan rests on: clips that are there, items that are known, or what is known of the published set."""


def planned_count(known: SetResources, task: str, wanted: int) -> int:
    """Items that a study will ask of a published set which is not fetched yet.

    Args:
        known: What the project knows of the set.
        task: The task.
        wanted: Items that the study wants.
    """
    if isinstance(get_task(task), HasReserve):
        return wanted
    return min(wanted, known.pin.expected[0].items - len(known.exclusions.clips("drop")))


def assumed_items(task: str, count: int) -> list[Item]:
    """Items of the length that the task plans, in the place of those that are not fetched yet.

    Args:
        task: The task.
        count: How many.

    Returns:
        Items without meaning, equal but for their ids.
    """
    planned = get_task(task).planned
    text = _filler(round(planned.words), planned.letters)
    options = (_filler(1, planned.options),) if planned.options else ()
    return [Item(f"assumed-{number}", text, label="", group="", options=options) for number in range(count)]


def _filler(words: int, letters: float) -> str:
    """Some words with so many letters and spaces between them."""
    words = max(1, words)
    return " ".join(["x" * max(1, round((letters - words + 1) / words))] * words)
