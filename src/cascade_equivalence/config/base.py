"""The base of every config section: closed, immutable, described."""

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """A section that refuses unknown keys and never changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
