"""Ways to do one piece of work, timed in turn on the same machine, and what a table says of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK = 16
"""Items that an arm is given at once."""
UNITS = {"amx_bf16": "AMX bfloat16", "avx512_bf16": "AVX-512 bfloat16", "avx512_vnni": "VNNI", "avx512f": "AVX-512"}


@dataclass
class Arm:
    """One way to do the work: a function from a chunk to its results, and the seconds each repeat took."""

    name: str
    run: Callable[[Sequence[Any]], list[str]]
    seconds: list[float] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def per_item(self, items: int) -> float:
        """Median seconds an item."""
        return statistics.median(self.seconds) / items


def take_turns(arms: Sequence[Arm], items: Sequence[Any], repeats: int) -> None:
    """Run every arm over all items, chunk by chunk in turn, ``repeats`` times."""
    for repeat in range(repeats):
        for arm in arms:
            arm.seconds.append(0.0)
            arm.results = []
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            # Another arm begins each time, so that none always runs on a machine the others have warmed.
            shift = (repeat + start // CHUNK) % len(arms)
            for arm in [*arms[shift:], *arms[:shift]]:
                began = time.perf_counter()
                arm.results += arm.run(chunk)
                arm.seconds[-1] += time.perf_counter() - began


def ratios(baseline: Arm, arm: Arm) -> list[float]:
    """How many times faster than a baseline, repeat by repeat."""
    return [one / other for one, other in zip(baseline.seconds, arm.seconds, strict=True)]


def ratio(baseline: Arm, arm: Arm) -> str:
    """The same: lowest / median / highest."""
    found = sorted(ratios(baseline, arm))
    return f"{found[0]:.2f} / {statistics.median(found):.2f} / {found[-1]:.2f}"


def together(name: str, *parts: Arm) -> Arm:
    """Arms one after the other, as one."""
    return Arm(name, parts[0].run, [sum(each) for each in zip(*(part.seconds for part in parts), strict=True)])


def peers(arms: Sequence[Arm]) -> list[Arm]:
    """What takes batches, and is not ours."""
    return [arm for arm in arms if arm.name.startswith("batch")]


def fastest(arms: Sequence[Arm]) -> Arm:
    """The arm with the lowest median."""
    return min(arms, key=lambda arm: statistics.median(arm.seconds))


def share_equal(first: Sequence[str], second: Sequence[str]) -> float:
    """Share of positions with the same text."""
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def processor() -> str:
    """Name of the processor and what of its units decides speeds here."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown processor"
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = told.get("flags", "").split()
    has = [title for flag, title in UNITS.items() if flag in flags]
    lacks = [title for flag, title in UNITS.items() if flag not in flags]
    name = told.get("model name", "unknown processor")
    return f"{name}; has {', '.join(has) or 'none'}; lacks {', '.join(lacks) or 'none'}"


def show(title: str, table: Sequence[dict[str, Any]]) -> None:
    """Print rows as a Markdown table."""
    columns = list(table[0])
    print(f"\n### {title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in table:
        print("| " + " | ".join(f"{row[c]:.3f}" if isinstance(row[c], float) else str(row[c]) for c in columns) + " |")
