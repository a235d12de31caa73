"""What benchmarks print and write: rows of results, and the settings that made them. And taking turns."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Arm = TypeVar("Arm")
OUTPUTS = frozenset({"out", "output", "goals"})


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as a table in Markdown; numbers have three digits."""
    lines = [f"| {' | '.join(rows[0])} |", f"|{'---|' * len(rows[0])}"]
    for row in rows:
        cells = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values())
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_json(path: Path, arguments: argparse.Namespace, results: Mapping[str, Any]) -> None:
    """Write results with the command's settings."""
    settings = {name: value for name, value in vars(arguments).items() if name not in OUTPUTS}
    path.write_text(json.dumps({"settings": settings, **results}, indent=2, default=str))


def in_turn(arms: Sequence[Arm], repeat: int) -> list[Arm]:
    """The arms in the order of a repeat: each begins once, so that none always has the coldest machine."""
    start = repeat % len(arms)
    return [*arms[start:], *arms[:start]]
