"""Known faults of a set's recordings: one list a set, each line with its reason."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item

Treatment = Literal["ignore", "drop", "cut", "keep"]
COLUMNS = ("split", "clip", "treatment", "reason")
SPLITS = ("train", "dev", "test", "*")


@dataclass(frozen=True)
class Exclusion:
    """One line of a list.

    Attributes:
        split: Part of the set, or `*` for all.
        clip: Item, or a pattern of file names without their ending where the treatment is `ignore`.
        treatment: `ignore`: the archive's file is no item's and is not read. `drop`: the item is not asked, in any
            voice. `cut`: only the beginning of the recording is heard. `keep`: known, and left as it is.
        reason: Why, and where that is known from.
    """

    split: str
    clip: str
    treatment: Treatment
    reason: str


@dataclass(frozen=True)
class Exclusions:
    """The lines that concern one part of a set.

    Attributes:
        path: The list, for messages.
        lines: Its lines.
    """

    path: Path
    lines: tuple[Exclusion, ...] = ()

    def clips(self, treatment: Treatment) -> dict[str, str]:
        """Clips that are treated so, with the reason of each."""
        return {line.clip: line.reason for line in self.lines if line.treatment == treatment}

    def ignored(self, name: str) -> str | None:
        """Why a file of the archive is not read (its name without the ending); None if it is."""
        return next((why for clip, why in self.clips("ignore").items() if fnmatchcase(name, clip)), None)

    def apply(self, items: Sequence[Item]) -> list[Item]:
        """Leave out the items that the list drops.

        Raises:
            StudyError: If the list drops, cuts or keeps an item that the set does not have.
        """
        known = {item.id for item in items}
        named = [line.clip for line in self.lines if line.treatment != "ignore"]
        if unknown := [name for name in named if name not in known]:
            raise StudyError(f"{self.path} names items that the set does not have: {', '.join(unknown)}.")
        dropped = self.clips("drop")
        return [item for item in items if item.id not in dropped]


def read_exclusions(path: Path, split: str) -> Exclusions:
    """Read a list.

    Args:
        path: Comma-separated file with the columns of :class:`Exclusion`. No file stands for an empty list.
        split: The part of the set that is wanted: lines of other parts are checked and left out.

    Raises:
        StudyError: If a line is not as it should be; the message names it.
    """
    if not path.is_file():
        return Exclusions(path)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            rows = [(reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise StudyError(f"{path}, line {reader.line_num}: {error}.") from error
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise StudyError(f"{path} must begin with the line {','.join(COLUMNS)}.")
    lines = [_line(row, f"{path}, line {number}") for number, row in rows]
    _refuse_repetition(lines, path)
    return Exclusions(path, tuple(line for line in lines if line.split in (split, "*")))


def _line(row: dict[str, str | None], where: str) -> Exclusion:
    values = {column: (row.get(column) or "").strip() for column in COLUMNS}
    if None in row or not all(values.values()):
        raise StudyError(f"{where}: each of {', '.join(COLUMNS)} must be given, and nothing else.")
    if values["split"] not in SPLITS:
        raise StudyError(f"{where}: {values['split']!r} is none of the splits {', '.join(SPLITS)}.")
    for treatment in get_args(Treatment):
        if values["treatment"] == treatment:
            return Exclusion(values["split"], values["clip"], treatment, values["reason"])
    raise StudyError(f"{where}: {values['treatment']!r} is none of the treatments {', '.join(get_args(Treatment))}.")


def _refuse_repetition(lines: Iterable[Exclusion], path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    for line in lines:
        if (line.split, line.clip) in seen:
            raise StudyError(f"{path} names {line.clip} of {line.split} twice.")
        seen.add((line.split, line.clip))
