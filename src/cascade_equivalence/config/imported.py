"""Systems whose answers others produced: which files hold them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import FORMATS, Label, TaskName
from cascade_equivalence.registry import NameIn

AnswerField = Literal["id", "answer", "label", "task", "group", "voice", "text", "correct", "raw", "options"]
"""What a column of a file of answers can be."""


class ImportedSpec(Closed):
    """A system that answered elsewhere: its answers to clean speech are read from files."""

    kind: Literal["imported"] = Field(description="Answers that others produced, joined to the study's by item.")
    answers: dict[TaskName, Path] = Field(
        min_length=1,
        description="Task: the file of its answers, a row an item, in a format that `cascade-equivalence agree` reads. "
        "With a column `voice` an answer to each item in each voice, without it one for all voices.",
    )
    columns: dict[AnswerField, str] = Field(default={}, description="Names of columns, where they are others.")
    format: Annotated[str, NameIn(FORMATS)] | None = Field(
        default=None, description="Format of the files; null finds it by what they hold."
    )
    model: Label = Field(default="answered elsewhere", description="What answered, as tables call it.")
