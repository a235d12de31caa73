"""The registries that configs choose from (tasks, voices, variants, concepts), and the types of names in a config."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from cascade_equivalence.registry import NameIn, Registry

if TYPE_CHECKING:
    from cascade_equivalence.imported.format import AnswerFormat
    from cascade_equivalence.mechanism.concept import Concept
    from cascade_equivalence.speech.provider import VoiceProvider
    from cascade_equivalence.tasks.base import Task
    from cascade_equivalence.tasks.repeats import Variant

TASKS: "Registry[Task]" = Registry("task", home="cascade_equivalence.tasks.registry")
TaskName = Annotated[str, NameIn(TASKS)]
"""A default of this type is not validated: tasks, and what they import, are read when a study names one."""
VOICES: "Registry[VoiceProvider]" = Registry("voice provider", home="cascade_equivalence.speech.voices.registry")
VARIANTS: "Registry[Variant]" = Registry("variant", home="cascade_equivalence.tasks.repeats")
"""What is changed when a system is asked again."""
FORMATS: "Registry[AnswerFormat]" = Registry("format of answers", home="cascade_equivalence.imported.registry")
"""In what others write answers."""
CONCEPTS: "Registry[Concept]" = Registry("concept", home="cascade_equivalence.mechanism.concepts")
"""What can be erased."""
ConceptName = Annotated[str, NameIn(CONCEPTS)]
ConceptKind = Literal["text", "sound", "control", "subspace"]
# Three names with a sign between them still make the name of a folder.
LONGEST_NAME = 64
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)]
NewTokens = Annotated[PositiveInt, Field(le=131_072)]
"""Tokens of one answer: at most the longest context that open models have."""
Draws = Annotated[PositiveInt, Field(le=1_000_000)]
"""Draws, permutations and the like: more settle no digit that is shown."""


def _said(label: str) -> str:
    if not label.strip():
        raise ValueError("it must say something")
    return label


Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_said)]
"""What stands in tables for something."""
