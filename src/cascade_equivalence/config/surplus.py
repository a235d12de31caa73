"""The section `surplus`: how the acoustic surplus of a task is measured (paper section 2.1)."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import Draws, Name, TaskName


class SurplusConfig(Closed):
    """How much of the label the audio tells beyond the transcript."""

    tasks: list[TaskName] = Field(
        default=[], description="Tasks to measure, each with a closed label set; empty for none."
    )
    asr: Name | None = Field(
        default=None, description="Whose transcripts are read; null for the text that was spoken (no recogniser)."
    )
    voices: list[Name] = Field(default=[], description="Voices that are heard; empty for all that speak the task.")
    per_task: PositiveInt = Field(default=1000, description="Texts a task, each in all of the voices.")
    folds: Annotated[int, Field(ge=2)] = Field(
        default=5, description="Folds of whole groups: outer ones that test, and inner ones that choose penalties."
    )
    permutations: Draws = Field(
        default=20, description="How often items exchange their audio, for what is found where there is nothing."
    )
    pitch_low: PositiveFloat = Field(default=65.0, description="Lowest pitch in Hz.")
    pitch_high: PositiveFloat = Field(default=400.0, description="Highest pitch in Hz.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the sample, of folds and of permutations.")
