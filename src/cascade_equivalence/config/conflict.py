"""The section `conflict`: what is said and what is written in one prompt disagree."""

from pydantic import Field, NonNegativeInt, field_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import Name, TaskName


class ConflictConfig(Closed):
    """Which of two texts with different labels an answer follows: the one that is heard, or the one that is typed."""

    tasks: list[TaskName] = Field(
        default=[],
        description="Tasks whose labels are words, each with a closed label set, and lie in the words that are said; "
        "empty for none.",
    )
    systems: list[Name] = Field(
        default=[],
        description="Speech LLMs and cascades that are asked; empty for all of which the study has a pair of both.",
    )
    per_task: int = Field(
        default=100,
        ge=2,
        description="Pairs of items of different texts a task, each way round counted; of an odd number one less.",
    )
    voice: Name | None = Field(
        default=None, description="Voice of the items that are heard; the first one that speaks the task by default."
    )
    wordings: list[str] = Field(
        default=["{speech} (transcript: {typed})", "(transcript: {typed}) {speech}"],
        min_length=1,
        description="What stands in the transcript's place, each asked: `{speech}` is what is heard (of a cascade its "
        "transcript), `{typed}` the text of the other item.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the pairs.")

    @field_validator("wordings")
    @classmethod
    def _with_both(cls, wordings: list[str]) -> list[str]:
        for wording in wordings:
            if any(wording.count(slot) != 1 for slot in ("{speech}", "{typed}")):
                raise ValueError("each must hold `{speech}` and `{typed}` once")
        return wordings
