"""Compares single numbers, texts and rows of two studies: the same or not, and by how much they differ."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

HASHED = "sha256:"
"""What stands before the hash that a supplement gives in the place of a licensed text."""


@dataclass(frozen=True)
class Difference:
    """One thing that two studies do not have in common.

    Attributes:
        file: The file, from the results folder.
        row: Which row, or which part of a file of JSON; empty for a whole file.
        what: The column, or the key.
        a: What the first has; None where it has nothing.
        b: What the second has.
        size: The difference by the larger of the two numbers, or the share of rows that differ; infinite where one has
            nothing, or text stands against text.
    """

    file: str
    row: str
    what: str
    a: Any
    b: Any
    size: float


def hashed(text: str) -> str:
    """The hash that stands for a text."""
    return text if text.startswith(HASHED) else f"{HASHED}{sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def gap(a: Any, b: Any, tolerance: float) -> float:
    """How far two values are apart.

    Args:
        a: A number, a text, a list or None.
        b: Another.
        tolerance: Numbers that differ by no more, absolutely or by the larger, are the same.

    Returns:
        0 for the same; the difference by the larger for numbers; infinity for anything else.
    """
    if a == b:
        return 0.0
    if isinstance(a, str) and isinstance(b, str) and a.startswith(HASHED) != b.startswith(HASHED):
        return 0.0 if hashed(a) == hashed(b) else math.inf
    one, other = _number(a), _number(b)
    if one is None or other is None:
        return math.inf
    if math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance) or (math.isnan(one) and math.isnan(other)):
        return 0.0
    distance = abs(one - other) / max(abs(one), abs(other))
    return distance if math.isfinite(distance) else math.inf


def _number(value: Any) -> float | None:
    # True and 1.0 are not the same answer.
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of JSON by its dotted path; an empty list or mapping is a leaf."""
    parts: Sequence[tuple[str, Any]] = ()
    if isinstance(value, Mapping):
        parts = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, list):
        parts = [(str(number), each) for number, each in enumerate(value)]
    if not parts:
        yield path, value
    for name, each in parts:
        yield from flat(each, f"{path}.{name}" if path else name)


def differences(file: str, row: str, a: Mapping[str, Any], b: Mapping[str, Any], tolerance: float) -> list[Difference]:
    """What two mappings do not have in common."""
    found = []
    for key in dict.fromkeys([*a, *b]):
        if key not in a or key not in b:
            found.append(Difference(file, row, key, a.get(key), b.get(key), math.inf))
        elif size := gap(a[key], b[key], tolerance):
            found.append(Difference(file, row, key, a[key], b[key], size))
    return found
