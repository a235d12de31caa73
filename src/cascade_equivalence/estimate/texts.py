"""How many items a task has and how long they are: from its clips, its items, or what is known of the published set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cascade_equivalence import stages
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.costs.figures import Figures
from cascade_equivalence.costs.speed import ItemLength
from cascade_equivalence.tasks.planned import Basis
from cascade_equivalence.tasks.registry import get_task

if TYPE_CHECKING:
    from cascade_equivalence.stages.study import Study


@dataclass(frozen=True)
class TaskSize:
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

    @property
    def length(self) -> ItemLength:
        """Length of an item, for formulas."""
        return ItemLength(self.seconds, self.letters, self.options)


def task_size(study: "Study", task: str, figures: Figures) -> TaskSize:
    """What a task's items come to.

    Raises:
        StudyError: The user's own files cannot be read.
    """
    items, basis = stages.items.planned(study, task)
    letters = fmean(len(item.text) for item in items)
    options = fmean(sum(map(len, item.options)) for item in items)
    if (
        measured := _measured_seconds([Path(stages.speech.file(study, task, voice)) for voice in study.voices_of(task)])
    ) is not None:
        return TaskSize(len(items), letters, options, measured, "clips")
    words = fmean(len(item.text.split()) for item in items)
    lengths = [_seconds(study, task, voice, words, figures) for voice in study.voices_of(task)]
    return TaskSize(len(items), letters, options, fmean(lengths), basis)


def _seconds(study: "Study", task: str, voice: str, words: float, figures: Figures) -> float:
    recorded = get_task(task).planned.recorded_seconds
    if recorded is not None and VOICES[study.config.definitions.voices[voice].provider].is_recorded:
        return min(recorded, study.config.speech.max_seconds)
    return words / figures.pace.words_per_second


def _measured_seconds(clips: Sequence[Path]) -> float | None:
    """Mean length of clips; None where not all are there."""
    if not clips or not all(path.exists() for path in clips):
        return None
    import polars as pl

    seconds = pl.read_parquet(list(clips), columns=["seconds"])["seconds"]
    return fmean(seconds) if len(seconds) else None
