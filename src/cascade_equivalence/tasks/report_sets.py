"""What a folder of published sets holds: counts, labels and what is left out, as a table."""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Task
from cascade_equivalence.tasks.registry import TASKS
from cascade_equivalence.tasks.sources.checks import load_set
from cascade_equivalence.tasks.sources.draw import draw
from cascade_equivalence.tasks.sources.resources import read_resources

ALL = sys.maxsize
COLUMNS = (
    "Set",
    "Rows",
    "Items",
    "Labels",
    "Repeated texts",
    "Longer",
    "Excluded",
    "Asked",
    "Labels asked",
    "As published",
)


def report_sets(
    folder: Path,
    resources: Path,
    per_task: Mapping[str, int] = MappingProxyType({}),
    longest: Mapping[str, int] = MappingProxyType({}),
    seed: int = 0,
) -> str:
    """Load all sets of a folder and describe them.

    Args:
        folder: Folder of the published sets, one sub-folder a task; those without are passed over.
        resources: The project's folder of resources.
        per_task: Items to draw of each set; of others as many as the paper asks.
        longest: Items of a set with longer texts are left out; of others by the task's own ``longest``.
        seed: Seed of the draw.

    Returns:
        A Markdown table, one line a set.

    Raises:
        StudyError: If there is no set at all, or a file is broken.
    """
    rows = [
        _describe(task, folder, resources, per_task.get(name, task.asked or ALL), longest.get(name, task.longest), seed)
        for name, task in TASKS.items()
        if (folder / name).is_dir()
    ]
    if not rows:
        raise StudyError(f"{folder} holds none of the sets {', '.join(TASKS)}.")
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _describe(task: Task, folder: Path, resources: Path, count: int, max_words: int, seed: int) -> tuple[str, ...]:
    known = read_resources(task.name, resources)
    loaded = load_set(task, folder, known.pin.expected, known.exclusions, complete=False)
    asked, _ = draw(task, loaded, folder, count, seed, max_words)
    return (
        task.name,
        f"{loaded.rows:,}",
        f"{len(loaded.items):,}",
        _shares(loaded.labels()) if task.labels else "free answers",
        f"{loaded.repeated_texts:,}",
        f"{loaded.longer_than(max_words):,}",
        f"{len(loaded.excluded):,}",
        f"{len(asked):,}",
        _shares(dict(Counter(item.label for item in asked).most_common())) if task.labels else "free answers",
        "; ".join((*loaded.differences, *loaded.mended)) or "yes",
    )


def _shares(labels: dict[str, int]) -> str:
    return ", ".join(f"{label} {count:,}" for label, count in labels.items())


def print_sets(folder: Path) -> None:
    """Print the table for a folder, with the project's resources and as many items as the paper asks."""
    from cascade_equivalence.resources import RESOURCES

    if not folder.is_dir():
        raise StudyError(f"{folder} is no folder; name the one with the published sets (one sub-folder a task).")
    print(report_sets(folder, RESOURCES))
