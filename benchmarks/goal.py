"""What a benchmark found beside what it aims at: rows that ``goals.py`` sets in one table."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Goal:
    """One number that is aimed at.

    Attributes:
        what: What was timed.
        against: What it is held against; empty where seconds are aimed at.
        aim: The number aimed at: at least so many times faster than ``against``; or, where ``at_most``, at most so many
            times as long, or so many seconds.
        found: The number in each repeat.
        at_most: Whether smaller is better.
        unit: What stands behind the number.
        equal: How alike the results of the two are, in words.
    """

    what: str
    against: str
    aim: float
    found: Sequence[float]
    at_most: bool = False
    unit: str = "times"
    equal: str = field(default="")

    @property
    def met(self) -> bool:
        """Whether the median of the repeats reaches the aim."""
        middle = statistics.median(self.found)
        return middle <= self.aim if self.at_most else middle >= self.aim

    def cells(self) -> dict[str, str]:
        """A row of the table."""
        low, middle, high = min(self.found), statistics.median(self.found), max(self.found)
        return {
            "what": self.what,
            "against": self.against,
            "goal": f"{'at most' if self.at_most else 'at least'} {self.aim:g} {self.unit}",
            "lowest / median / highest": f"{low:.3g} / {middle:.3g} / {high:.3g}",
            "repeats": str(len(self.found)),
            "results": self.equal,
            "met": "yes" if self.met else "no",
        }


def write_goals(path: Path | None, goals: Sequence[Goal]) -> None:
    """Write rows for ``goals.py``, where it asked for them."""
    if path is not None:
        path.write_text(json.dumps([asdict(goal) for goal in goals]), encoding="utf-8")


def read_goals(path: Path) -> list[Goal]:
    """Rows that a benchmark wrote."""
    return [Goal(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
