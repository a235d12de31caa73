"""Whether a set is the one that was published: how many items, which labels, what occurs twice."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.items import check_items
from cascade_equivalence.tasks.published import foreign_bytes
from cascade_equivalence.tasks.sources.exclusions import Exclusions
from cascade_equivalence.tasks.sources.pins import Expected


@dataclass(frozen=True)
class LoadedSet:
    """A published set, checked.

    Attributes:
        items: Each item once, without the excluded ones.
        rows: Rows that were read.
        excluded: Items that are not asked, with the reason of each.
        differences: How the set differs from the published one; one line each.
        mended: Bytes of its files that are not UTF-8, and what they are read as; one line each.
    """

    items: list[Item]
    rows: int
    excluded: Mapping[str, str] = field(default_factory=dict)
    differences: Sequence[str] = ()
    mended: Sequence[str] = ()

    @property
    def repeated_rows(self) -> int:
        """Rows that say an item again."""
        return self.rows - len(self.items) - len(self.excluded)

    @property
    def repeated_texts(self) -> int:
        """Items whose text an earlier item has, word for word."""
        return len(self.items) - len({item.text for item in self.items})

    def labels(self) -> dict[str, int]:
        """Items of each label, the most frequent first."""
        return dict(Counter(item.label for item in self.items).most_common())

    def longer_than(self, words: int) -> int:
        """Items whose text has more words."""
        return sum(len(item.text.split()) > words for item in self.items)

    def notes(self, max_words: int) -> list[str]:
        """What happened to the set's rows, for a log; one line each."""
        lines = [f"{self.rows} rows, {len(self.items)} items", *self.differences, *self.mended]
        if self.repeated_rows:
            lines.append(f"{self.repeated_rows} rows say an item again; the first of each counts")
        if self.repeated_texts:
            lines.append(f"{self.repeated_texts} items have the text of an earlier one")
        if longer := self.longer_than(max_words):
            lines.append(f"{longer} items have more than {max_words} words and are left out")
        return lines + [f"{name} is left out: {reason}" for name, reason in self.excluded.items()]


def load_set(
    task: Task, folder: Path, expected: Sequence[Expected], exclusions: Exclusions, *, complete: bool = True
) -> LoadedSet:
    """Read a published set and compare it with what was published.

    Args:
        task: The task.
        folder: Folder of the published sets, one sub-folder a task.
        expected: What a complete set holds, a line for each edition; the set must be one of them.
        exclusions: Items that are not asked.
        complete: False accepts a part of a set; the differences are noted.

    Raises:
        StudyError: If a file is missing or in another layout, ids repeat that should not, labels are missing or
            unknown, the set is not complete, or the exclusions do not fit it.
    """
    # The rows as they stand: a task may merge those of one item.
    rows = Task.load_published(task, folder)
    first: dict[str, Item] = {}
    for item in rows:
        first.setdefault(item.id, item)
    items = list(first.values())
    merged = any(edition.rows and edition.rows > edition.items for edition in expected)
    check_items(items if merged else rows, task.labels, f"the published items of {task.name} in {folder / task.name}")
    found = Expected(
        items=len(items), rows=len(rows), labels=Counter(item.label for item in items) if task.labels else {}
    )
    differences = _differences(found, expected)
    if differences and complete:
        raise StudyError(
            f"{folder / task.name} does not hold the published items of {task.name}:\n"
            + "\n".join(f"  {line}" for line in differences)
            + "\nFetch the set again (leave `items.folder` out), or set `items.complete: false` to work with a part."
        )
    if differences:
        # A part of a set need not have the items that the list speaks of.
        known = {item.id for item in items}
        lines = tuple(line for line in exclusions.lines if line.treatment == "ignore" or line.clip in known)
        exclusions = Exclusions(exclusions.path, lines)
    mended = [line for path in task.published_files(folder) for line in foreign_bytes(path)]
    return LoadedSet(exclusions.apply(items), len(rows), exclusions.clips("drop"), differences, mended)


def _differences(found: Expected, expected: Sequence[Expected]) -> list[str]:
    """Lines of expected and found, for the nearest edition; none if it is one of them, or none is known."""
    compared = [(abs(found.items - edition.items), _compare(found, edition)) for edition in expected]
    if not compared or any(not lines for _, lines in compared):
        return []
    return min(compared, key=lambda one: one[0])[1]


def _compare(found: Expected, edition: Expected) -> list[str]:
    lines = []
    if found.items != edition.items:
        lines.append(f"items: expected {edition.items}, found {found.items}")
    if found.rows != (wanted := edition.rows or edition.items):
        lines.append(f"rows: expected {wanted}, found {found.rows}")
    for label in edition.labels.keys() | found.labels.keys() if edition.labels else ():
        if edition.labels.get(label, 0) != found.labels.get(label, 0):
            lines.append(f"label {label}: expected {edition.labels.get(label, 0)}, found {found.labels.get(label, 0)}")
    return sorted(lines)
