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


def printable(text: str) -> str:
    """A text from a file as a terminal may have it: control characters are written out."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def cut(text: str, width: int) -> str:
    """A text no wider than so many columns of a terminal; of a long one the middle is left out.

    Args:
        text: The text.
        width: Columns, at least 2.
    """
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    # Both ends of a name tell it from others. Some characters take two columns.
    kept = min(len(text) - 1, width - 1)
    while True:
        tail = kept // 3
        short = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
        if cell_len(short) <= width or kept == 0:
            return short
        kept -= 1
