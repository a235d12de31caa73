"""Names that configs use."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

TaskName = Literal["ag_news", "sst2", "commonsense_qa", "trivia_qa", "meld", "mustard"]
# Three names with a sign between them still make the name of a folder.
LONGEST_NAME = 64
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)]
NewTokens = Annotated[PositiveInt, Field(le=131_072)]
"""Tokens of one answer: at most the longest context that open models have."""
Draws = Annotated[PositiveInt, Field(le=1_000_000)]
"""Draws, permutations and the like: more settle no digit that is shown."""
Label = Annotated[str, Field(pattern=r"\S", max_length=200)]
"""What stands in tables for something."""
