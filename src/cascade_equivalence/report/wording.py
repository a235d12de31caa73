"""Lists and numbers as words, for sentences of the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from cascade_equivalence.report.display import ends
from cascade_equivalence.report.naming import task_title


def listed(parts: Sequence[str]) -> str:
    """A list in words: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(number: int, noun: str) -> str:
    """A number of things in words: ``1 task``, ``2 tasks``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed_tasks(tasks: Sequence[str]) -> str:
    """Tasks in words."""
    return listed([task_title(task) for task in tasks])


def kappa_on(row: Mapping[str, Any], name: str = "kappa", *, signed: bool = False) -> str:
    """A value with its interval and its task."""
    return f"{ends(row, name, signed=signed)} on {task_title(row['task'])}"
