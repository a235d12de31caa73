"""A task that a config describes: its items are rows of a file of the user's own (see ``OwnTask``)."""

import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path, PurePath
from typing import Any, get_args

from cascade_equivalence.config.names import BINARY, FEWEST_GROUPS
from cascade_equivalence.config.study import SLOT, ItemField
from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import FOREIGN, Item, Task, checked
from cascade_equivalence.tasks.cleaning import clean_text
from cascade_equivalence.tasks.items import check_items
from cascade_equivalence.tasks.parsing import matches_alias, parse_free, parse_option
from cascade_equivalence.tasks.published import foreign_bytes, read_csv, read_csv_records, read_rows

BETWEEN = "|"
"""Between the entries of a list, in a cell of a CSV file."""
FIELDS: tuple[str, ...] = get_args(ItemField)
UNEVEN = 5
"""Times that the commonest label is commoner than the rarest, from which on it is told."""
READABLE = (".csv", ".jsonl", ".json", ".parquet")


class OwnTask(Task):
    """Items from a file of the user's own.

    The columns are ``text`` and ``label``, and, where wanted, ``id``, ``group``, ``options``, ``aliases`` and ``audio``
    (the recording, whose name without its ending is the id of an item that has none); other names for them are given in
    ``columns``. With `{options}` in its prompt it is a question with lettered options, with labels one of a closed set,
    else it is answered freely, and right is what is equal to the label or an alias, as TriviaQA compares.

    Args:
        name: The task's name.
        spec: Its entry in the config, which need not be valid yet: what is wrong with it is told elsewhere.
    """

    patterns = ()
    obtain = "a file of your own"
    # What is asked is all that the file has; a sample keeps its distribution.
    balanced = False

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name = name
        self.title = _text(spec.get("title"))
        self.file = Path(spec["items"])
        labels, columns, prompt = spec.get("labels"), spec.get("columns"), spec.get("prompt")
        self.labels = tuple(map(str, labels)) if isinstance(labels, list) else ()
        self.has_options = isinstance(prompt, str) and "options" in SLOT.findall(prompt)
        self.text_sufficient = spec.get("text_sufficient") is not False
        named = dict(columns) if isinstance(columns, Mapping) else {}
        self._named = [field for field in FIELDS if field in named]
        self.columns = {field: field for field in FIELDS} | named

    def load(self) -> list[Item]:
        """Read the items.

        Raises:
            StudyError: The file is missing, cannot be read, or a row is no item; the message names the row.
        """
        assert self.file is not None
        if not self.file.is_file():
            what = "a folder, and no file" if self.file.is_dir() else "no file that there is"
            raise StudyError(f"{self.file} is {what}")
        items: list[Item] = []
        try:
            for item in self._published_items(self.file, 0):
                items.append(item)
        except OSError as error:
            raise StudyError(f"{self.file} cannot be read ({error.strerror})") from error
        except FOREIGN as error:
            raise StudyError(f"{self.file}, row {len(items) + 1}: {error}") from error
        if not items:
            raise StudyError(f"{self.file} has no items")
        check_items(items, self.labels, f"the items of {self.file}")
        self._check_golds(items, self.file)
        return items

    def fault(self) -> str | None:
        """What is wrong with the file of items, of which it is the first thing; None if nothing is."""
        try:
            self.load()
        except StudyError as error:
            return str(error)
        return None

    def parse(self, raw: str, options: Sequence[str], label_words: Mapping[str, str], prefix: str = "") -> str:
        """Turn a model's answer into a letter, a label or a free answer, or `invalid`."""
        if self.has_options:
            return parse_option(raw, options, ("option", "choice"), prefix)
        return super().parse(raw, options, label_words, prefix) if self.labels else parse_free(raw, prefix)

    def score(self, parsed: str, item: Item) -> bool:
        """Whether a parsed answer is the gold answer, or of free answers one of the accepted ones."""
        return super().score(parsed, item) if self.labels else matches_alias(parsed, (item.label, *item.aliases))

    def answers(self, options: Sequence[str], label_words: Mapping[str, str]) -> dict[str, str]:
        """The answer a model is meant to give for each label; of options, the letters there are."""
        if self.has_options:
            return {letter: letter for letter, _ in zip(self.labels, options, strict=False)}
        return super().answers(options, label_words)

    def _item(self, row: Mapping[str, Any], number: int, groups: dict[str, str]) -> Item:
        """One row as an item; items with the same text are of one group where the file has no groups."""
        if None in row:
            raise ValueError("it has more cells than there are columns: put texts with a comma in quotation marks")
        found = {field: row.get(column) for field, column in self.columns.items()}
        for field in ("text", "label", *self._named):
            if self.columns[field] not in row:
                raise ValueError(
                    f"there is no column {self.columns[field]!r}; it has {', '.join(map(str, row))} "
                    f"(name yours in `columns: {{{field}: ...}}`)"
                )
        text, label = clean_text(_said(found["text"], "text")), _said(found["label"], "label").strip()
        name = _name(found["id"], "id") or PurePath(_name(found["audio"], "audio")).stem or f"{number:05}"
        options: tuple[str, ...] = ()
        if self.has_options:
            options = tuple(" ".join(option.split()) for option in _list(found["options"], "options"))
            self._check_options(options)
        if self.has_options and label in options:
            label = string.ascii_uppercase[options.index(label)]
        group = _name(found["group"], "group") or groups.setdefault(text, name)
        return checked(Item(name, text, label, group, options, tuple(_list(found["aliases"], "aliases"))))

    def _check_options(self, options: Sequence[str]) -> None:
        if not BINARY <= len(options) <= len(self.labels):
            letters = f"{self.labels[0]} to {self.labels[-1]}" if self.labels else "none"
            raise ValueError(f"it has {len(options)} options; the labels are {letters}, so it needs two at least")
        if "" in options or len({option.lower() for option in options}) < len(options):
            raise ValueError(f"its options are not all different and something: {', '.join(map(repr, options))}")

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        groups: dict[str, str] = {}
        for number, row in enumerate(_rows(path), earlier + 1):
            yield self._item(row, number, groups)


def read_columns(path: Path) -> list[str]:
    """The names of a file's columns, as its first row has them.

    Raises:
        StudyError: It cannot be read, or has no row.
    """
    try:
        row = next(iter(_rows(path)), None)
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror})") from error
    except FOREIGN as error:
        raise StudyError(f"{path}: {error}") from error
    if row is None:
        raise StudyError(f"{path} has no items")
    return [str(name) for name in row if name is not None]


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix not in READABLE:
        raise ValueError(f"its name ends in none of {', '.join(READABLE)}")
    if path.suffix != ".csv":
        yield from read_rows(path)
        return
    head = next(iter(read_csv(path)), [])
    if twice := [name for name, count in Counter(head).items() if count > 1]:
        raise ValueError(f"two columns are called {twice[0]!r}")
    yield from read_csv_records(path)


def remarks_on(items: Sequence[Item], file: Path) -> list[str]:
    """What a user would want to know of items of their own before anything is spoken: a line each, for the log."""
    lines = foreign_bytes(file)
    texts, labels = (Counter(getattr(item, field) for item in items) for field in ("text", "label"))
    if twice := sum(count - 1 for count in texts.values()):
        lines.append(f"{twice} items have a text that an earlier one has; they count as one group unless the file says")
    if (groups := len({item.group for item in items})) < FEWEST_GROUPS:
        lines.append(f"there are {groups} groups: with fewer than {FEWEST_GROUPS} no number gets an interval")
    rarest, most = min(labels.values()), max(labels.values())
    if 1 < len(labels) < len(items) / 2 and rarest * UNEVEN < most:
        rare = min(labels, key=lambda label: labels[label])
        lines.append(f"labels are uneven: {rare!r} is the answer to {rarest} of {len(items)} items")
    return lines


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _name(value: object, field: str) -> str:
    """A name; empty where there is none."""
    return "" if value is None or value == "" else _said(value, field).strip()


def _said(value: object, field: str) -> str:
    if value is None or isinstance(value, bool | list | dict) or (isinstance(value, float) and isnan(value)):
        raise ValueError(f"`{field}` is {value!r}, which is no text")
    return str(value)


def _list(value: object, field: str) -> list[str]:
    """A list, or a cell with the sign between its entries; empty where there is none."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [entry.strip() for entry in value.split(BETWEEN)]
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return value
    raise ValueError(f"`{field}` is {value!r}, which is no list of texts")
