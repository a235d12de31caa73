"""A cascade whose text LLM reads, beside the transcript, words for the voice: a kind of system."""

from typing import Literal

from pydantic import Field, field_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import Name

AUGMENTED = "augmented"
Tag = Literal["pitch", "energy", "rate", "label"]
LABEL: Tag = "label"
TAGS: dict[Tag, str] = {"pitch": "{} pitch", "energy": "{} energy", "rate": "{} speaking rate", "label": "{}"}
"""What can be told of a voice, and in which words: low, middle or high, or the label that the sound suggests."""


class AugmentedSpec(Closed):
    """A cascade that is told, in words, what else the voice tells."""

    kind: Literal["augmented"] = Field(
        description="A cascade whose text LLM reads words for the voice beside the transcript."
    )
    asr: Name = Field(description="Whose transcripts are read, as of a cascade.")
    llm: Name = Field(description="Model that answers, as of a cascade.")
    tags: list[Tag] = Field(
        default=list(TAGS),
        min_length=1,
        description="What is told: `pitch`, `energy` and speaking `rate`, each low, middle or high by thirds "
        "over the clips of the task in that voice and condition; and the `label` that a classifier guesses from the "
        "sound alone, trained on the other texts (where labels are words, and where it predicts held-out texts better "
        "than chance).",
    )
    shuffled: bool = Field(
        default=False,
        description="Whether each clip is told the tags of another one of its voice: what is gained then is no "
        "knowledge of the voice.",
    )
    wording: str = Field(
        default="{speech} (tone of voice: {tags})",
        description="What stands in the transcript's place: `{speech}` is the transcript, `{tags}` what is told.",
    )

    @field_validator("wording")
    @classmethod
    def _with_both(cls, wording: str) -> str:
        if any(wording.count(slot) != 1 for slot in ("{speech}", "{tags}")):
            raise ValueError("it must hold `{speech}` and `{tags}` once each")
        return wording

    @field_validator("tags")
    @classmethod
    def _once(cls, tags: list[Tag]) -> list[Tag]:
        if len(set(tags)) < len(tags):
            raise ValueError("it names a tag twice")
        return tags
