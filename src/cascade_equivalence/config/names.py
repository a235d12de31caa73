"""Names that configs use."""

from typing import Annotated, Literal

from pydantic import Field

TaskName = Literal["ag_news", "sst2", "commonsense_qa", "trivia_qa", "meld", "mustard"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
