"""How many items a task has and how long they are: from its clips, its items, or what is known of the published set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.estimate.figures import Figures
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.prepare import of_task
from cascade_equivalence.tasks.registry import get_task

if TYPE_CHECKING:
    from cascade_equivalence.dag.set_nodes import SetNodes
    from cascade_equivalence.dag.study import Study
    from cascade_equivalence.tasks.sources.resources import SetResources

Basis = Literal["clips", "items", "figures"]


@dataclass(frozen=True)
class Spoken:
    """What a task's items come to.

    Attributes:
        items: How many there are.
        letters: Letters of an item's text, the mean.
        options: Letters of an item's options together, the mean.
        seconds: Length of an item's clip, the mean over all voices.
        basis: ``clips`` where they are there and were measured; else the length follows from the ``items``' words, or
            from the ``figures``.
    """

    items: int
    letters: float
    options: float
    seconds: float
    basis: Basis


def planned_count(known: "SetResources", task: str, wanted: int) -> int:
    """Items that a study will ask of a published set which is not fetched yet.

    Args:
        known: What the project knows of the set.
        task: The task.
        wanted: Items that the study wants.
    """
    from cascade_equivalence.tasks.sources.draw import HasReserve

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


def planned_items(study: "SetNodes", task: str) -> tuple[list[Item], Basis]:
    """Items of a task: those that were prepared, or would be; where their set is not fetched yet, assumed ones.

    Raises:
        StudyError: The user's own files cannot be read.
    """
    from cascade_equivalence.tasks.items import read_items
    from cascade_equivalence.tasks.prepare import prepare_items

    config, table = study.config.items, Path(study.items(task))
    if table.exists():
        return list(read_items(table)), "items"
    fetched = config.source == "published" and config.folder is None
    if fetched and not Path(*study.fetched_items(task)).exists():
        count = planned_count(study.set_resources(task), task, of_task("per_task", task, config.per_task))
        return assumed_items(task, count), "figures"
    return prepare_items(task, config, RESOURCES, study.sets_folder)[0], "items"


def spoken_task(study: "Study", task: str, figures: Figures) -> Spoken:
    """What a task's items come to.

    Raises:
        StudyError: The user's own files cannot be read.
    """
    items, basis = planned_items(study, task)
    letters = fmean(len(item.text) for item in items)
    options = fmean(sum(map(len, item.options)) for item in items)
    if (measured := _measured_seconds([Path(study.clips(task, voice)) for voice in study.voices_of(task)])) is not None:
        return Spoken(len(items), letters, options, measured, "clips")
    words = fmean(len(item.text.split()) for item in items)
    lengths = [_seconds(study, task, voice, words, figures) for voice in study.voices_of(task)]
    return Spoken(len(items), letters, options, fmean(lengths), basis)


def _filler(words: int, letters: float) -> str:
    """Some words with so many letters and spaces between them."""
    words = max(1, words)
    return " ".join(["x" * max(1, round((letters - words + 1) / words))] * words)


def _seconds(study: "Study", task: str, voice: str, words: float, figures: Figures) -> float:
    recorded = get_task(task).planned.recorded_seconds
    if recorded is not None and isinstance(study.config.definitions.voices[voice], RecordingsVoice):
        return min(recorded, study.config.speech.max_seconds)
    return words / figures.pace.words_per_second


def _measured_seconds(clips: Sequence[Path]) -> float | None:
    """Mean length of clips; None where not all are there."""
    if not clips or not all(path.exists() for path in clips):
        return None
    import polars as pl

    seconds = pl.read_parquet(list(clips), columns=["seconds"])["seconds"]
    return fmean(seconds) if len(seconds) else None
