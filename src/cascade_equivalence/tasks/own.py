"""A task that a config describes: its items are rows of a user's file or of a data set (see ``OwnTask``)."""

import string
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, get_args

from pydantic import ValidationError

from cascade_equivalence.config.dataset import DatasetSpec
from cascade_equivalence.config.study import ItemField
from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import FOREIGN, Item, Task, checked
from cascade_equivalence.tasks.cleaning import clean_text
from cascade_equivalence.tasks.items import check_items
from cascade_equivalence.tasks.own_rows import audio_name, list_of, name_of, rows_of, said
from cascade_equivalence.tasks.parsing import matches_alias, parse_free, parse_option
from cascade_equivalence.tasks.published import foreign_bytes
from cascade_equivalence.tasks.sources.dataset import FetchedDataset, fetched_dataset
from cascade_equivalence.tasks.sources.dataset_rows import dataset_rows, sound_rows
from cascade_equivalence.tasks.sources.pins import MANIFEST
from cascade_equivalence.vocabulary import BINARY, FEWEST_GROUPS, SLOT

FIELDS: tuple[str, ...] = get_args(ItemField)
SPEAKER, VOICE = "speaker", "voice"
ASKED_FOR = (SPEAKER, VOICE)
"""Fields that are read only where `columns` names them: other programs call something else so."""
UNEVEN = 5
"""Times that the commonest label is commoner than the rarest, from which on it is told."""


@dataclass(frozen=True)
class Sound:
    """One clip of a data set.

    Attributes:
        item: Its item's id.
        voice: Who speaks it; empty where the set does not tell clips of one item apart.
        content: The sound file.
    """

    item: str
    voice: str
    content: bytes


class OwnTask(Task):
    """Items from a file of the user's own, or from a data set of the hub.

    The columns are ``text`` and ``label``, and, where wanted, ``id``, ``group``, ``options``, ``aliases`` and ``audio``
    (the recording, whose name without its ending is the id of an item that has none); other names for them are given in
    ``columns``. Where they name it, ``speaker`` is a wider group, and ``voice`` tells clips of one item apart. With
    `{options}` in its prompt it is a question with lettered options, with labels one of a closed set,
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
        self.file = Path(spec["items"]) if spec.get("items") else None
        self.dataset = None if self.file else _dataset(spec.get("dataset"))
        labels, columns, prompt = spec.get("labels"), spec.get("columns"), spec.get("prompt")
        self.labels = tuple(map(str, labels)) if isinstance(labels, list) else ()
        self.has_options = isinstance(prompt, str) and "options" in SLOT.findall(prompt)
        self.text_sufficient = spec.get("text_sufficient") is not False
        named = dict(columns) if isinstance(columns, Mapping) else {}
        self._named = [field for field in FIELDS if field in named]
        self.columns = {field: field for field in FIELDS if field not in ASKED_FOR} | named
        self.wider = (SPEAKER,) if SPEAKER in named else ()

    def load(self, sets: Path = Path()) -> list[Item]:
        """Read the items.

        Args:
            sets: Folder of fetched sets, one sub-folder a task.

        Raises:
            StudyError: The file is missing, cannot be read, or a row is no item; the message names the row.
        """
        if self.file is None:
            return self._load_dataset(sets / self.name)
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

    def _load_dataset(self, folder: Path) -> list[Item]:
        fetched, items, rows = fetched_dataset(folder), dict[str, Item](), 0
        try:
            for item in self._dataset_items(fetched):
                first = items.setdefault(item.id, item)
                if first is not item and not self._told_apart:
                    raise ValueError(f"the id {item.id!r} is there already; `columns.voice` tells clips of one apart")
                if (item.text, item.label) != (first.text, first.label):
                    raise ValueError(f"another clip of {item.id!r} has another text or label")
                rows += 1
        except OSError as error:
            raise StudyError(f"{folder} cannot be read ({error.strerror})") from error
        except FOREIGN as error:
            raise StudyError(f"{self._page}, row {rows + 1}: {error}") from error
        if not items:
            raise StudyError(f"{self._page} has no rows in this split")
        found = list(items.values())
        check_items(found, self.labels, f"the items of {self._page}")
        self._check_golds(found, folder)
        return found

    def sounds(self, sets: Path) -> Iterator[Sound]:
        """Clips of a data set, in the order of its rows, some items in several voices.

        Args:
            sets: Folder of fetched sets, one sub-folder a task.

        Raises:
            StudyError: The data set is not there, has no sound, or a row is no item; the message names the row.
        """
        fetched, number = fetched_dataset(sets / self.name), 0
        column, voice = self.columns["audio"], self.columns.get(VOICE)
        try:
            items = self._dataset_items(fetched, {"audio"})
            rows = sound_rows(fetched, [column] if voice is None else [column, voice])
            for item, row in zip(items, rows, strict=True):
                number += 1
                sound = row[column] if isinstance(row[column], Mapping) else {}
                if not sound.get("bytes"):
                    raise ValueError(f"{column!r} holds no sound: it may lie in a file beside, which is not fetched")
                yield Sound(item.id, name_of(row[voice], VOICE) if voice else "", sound["bytes"])
        except FOREIGN as error:
            raise StudyError(f"{self._page}, row {max(1, number)}: {error}") from error

    @property
    def _told_apart(self) -> bool:
        """Whether an item may have several rows, one a voice."""
        return VOICE in self._named

    @property
    def _page(self) -> str:
        return self.dataset.page if self.dataset is not None else str(self.file)

    def _dataset_items(self, fetched: FetchedDataset, also: Collection[str] = ()) -> Iterator[Item]:
        assert self.dataset is not None
        groups: dict[str, str] = {}
        needed = ["text", "label", *self._named, *also]
        for number, found in enumerate(dataset_rows(fetched, self.dataset, self.columns, needed), 1):
            yield self._item(found, number, groups)

    def fault(self, sets: Path) -> str | None:
        """What is wrong with the items, of which it is the first thing; None if nothing is, or nothing is fetched."""
        if self.file is None and not (sets / self.name / MANIFEST).is_file():
            return None
        try:
            self.load(sets)
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

    def _found(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a row of the user's file holds, by what it is for an item."""
        if None in row:
            raise ValueError("it has more cells than there are columns: put texts with a comma in quotation marks")
        for field in ("text", "label", *self._named):
            if self.columns[field] not in row:
                raise ValueError(
                    f"there is no column {self.columns[field]!r}; it has {', '.join(map(str, row))} "
                    f"(name yours in `columns: {{{field}: ...}}`)"
                )
        return {field: row.get(column) for field, column in self.columns.items()}

    def _item(self, found: Mapping[str, Any], number: int, groups: dict[str, str]) -> Item:
        """One row as an item; items with the same text are of one group where there are no groups."""
        text, label = clean_text(said(found["text"], "text")), said(found["label"], "label").strip()
        name = name_of(found["id"], "id") or PurePath(audio_name(found["audio"])).stem or f"{number:05}"
        options: tuple[str, ...] = ()
        if self.has_options:
            options = tuple(" ".join(option.split()) for option in list_of(found["options"], "options"))
            self._check_options(options)
        if self.has_options and label in options:
            label = string.ascii_uppercase[options.index(label)]
        group = name_of(found["group"], "group") or groups.setdefault(text, name)
        aliases = tuple(list_of(found["aliases"], "aliases"))
        wider = tuple((each, said(found[each], each)) for each in self.wider)
        return checked(Item(name, text, label, group, options, aliases, wider=wider))

    def _check_options(self, options: Sequence[str]) -> None:
        if not BINARY <= len(options) <= len(self.labels):
            letters = f"{self.labels[0]} to {self.labels[-1]}" if self.labels else "none"
            raise ValueError(f"it has {len(options)} options; the labels are {letters}, so it needs two at least")
        if "" in options or len({option.lower() for option in options}) < len(options):
            raise ValueError(f"its options are not all different and something: {', '.join(map(repr, options))}")

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        groups: dict[str, str] = {}
        for number, row in enumerate(rows_of(path), earlier + 1):
            yield self._item(self._found(row), number, groups)


def remarks_on(items: Sequence[Item], files: Sequence[Path]) -> list[str]:
    """What a user would want to know of items of their own before anything is spoken: a line each, for the log."""
    lines = [line for file in files for line in foreign_bytes(file)]
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


def _dataset(entry: object) -> DatasetSpec | None:
    try:
        return DatasetSpec.model_validate(entry) if entry else None
    except ValidationError:
        return None
