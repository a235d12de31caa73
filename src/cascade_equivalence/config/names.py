"""Names that configs use."""

from typing import Annotated, Literal

from pydantic import Field

TaskName = Literal["ag_news", "sst2", "commonsense_qa", "trivia_qa", "meld", "mustard"]
# Three names with a sign between them still make the name of a folder.
LONGEST_NAME = 64
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)]
