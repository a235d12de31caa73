"""`Transcript`: what was heard in one clip."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Transcript:
    """A transcript, and what it cost.

    Attributes:
        text: The words.
        seconds: Its share of the batch's time; None where nobody measured it, or nothing had to be heard.
        looped: Whether a loop was taken out of it.
    """

    text: str
    seconds: float | None = None
    looped: bool = False
