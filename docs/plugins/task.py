"""A task with a parser of its own: is the number that is spoken even or odd?

Its items lie beside it, in `items/parity.jsonl`; a user's own set lies in `<items.folder>/parity/items.csv`.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.vocabulary import INVALID


class Parity(Task):
    """Whether a number is even or odd."""

    name = "parity"
    title = "Even or odd"
    short_title = "Parity"
    labels = ("even", "odd")
    patterns = ("items.csv",)
    obtain = "a file of your own with the columns id, text and label"

    def parse(self, raw: str, options: Sequence[str], label_words: Mapping[str, str], prefix: str = "") -> str:
        """Read a number as the answer, too: `7` says odd."""
        found = super().parse(raw, options, label_words, prefix)
        number = re.fullmatch(r"\W*(\d+)\W*", raw)
        if found == INVALID and number:
            return self.labels[int(number[1]) % 2]
        return found

    def _demo_items(self, row: Mapping[str, Any]) -> Iterator[Item]:
        yield _item(row)

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        with path.open(encoding="utf-8", newline="") as file:
            yield from map(_item, csv.DictReader(file))


def _item(row: Mapping[str, str]) -> Item:
    return Item(id=row["id"], text=row["text"], label=row["label"], group=row["id"])


TASKS.add(Parity())
