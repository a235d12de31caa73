"""What a task is: items from two sources, a closed label set, a parser and a scorer."""

import csv
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from cascade_equivalence.config.dataset import DatasetSpec
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.parsing import parse_label
from cascade_equivalence.tasks.published import find_files, text_field
from cascade_equivalence.vocabulary import INVALID

Split = Literal["test", "dev"]
FOREIGN: tuple[type[Exception], ...] = (
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError),
    *(csv.Error, pl.exceptions.PolarsError),
)
"""What reading a file in another layout ends in."""


@dataclass(frozen=True)
class Item:
    """One text of a task.

    Attributes:
        id: Stable and unique within the task.
        text: What is spoken, already cleaned.
        label: Gold label; for trivia_qa the main answer.
        group: Items of one group are not independent of each other: the same text, the same dialogue.
        options: Answer options in the order of their letters, where the task has them.
        aliases: Accepted answers, for trivia_qa.
        wider: Wider groups that the item is in, (name of the grouping, group): intervals that count those stand beside.
        style: Prosody style to speak in. Set only where the label lies in the voice and not in the words: such items
            share their text with one item of every other style.
    """

    id: str
    text: str
    label: str
    group: str
    options: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    style: str | None = None
    wider: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Length:
    """Mean length of a task's items.

    Attributes:
        words: Words of the text.
        letters: Letters of the text.
        options: Letters of all of an item's options together.
        recorded_seconds: Length of the set's own recordings; None where it has none.
    """

    words: float
    letters: float
    options: float = 0
    recorded_seconds: float | None = None


class Task(ABC):
    """One task. A subclass says how its files are read; most inherit everything else.

    Attributes:
        name: The task's name in the config, in paths and in tidy tables.
        title: What a reader sees; empty for the name.
        short_title: The same where there is little room; empty for the title.
        remark: What a reader must know of its accuracies; a sentence, or empty.
        labels: The closed label set; empty where answers are free.
        styles: Prosody styles in which each of the project's own carrier sentences is spoken; they are the labels.
        balanced: Whether a sample takes the same number of items of every label. False keeps the set's own
            distribution.
        has_options: Whether an item carries answer options, lettered from A.
        text_sufficient: Whether the words are taken to hold all that the label depends on (paper's section 3.2); False
            where it lies in the voice as well.
        wider: Names of the wider groupings that published items carry.
        subjects: What an answer may name before it gives the label, as in "Topic: Sports".
        patterns: Names of the published file, in order of preference.
        obtain: Where the published file comes from, for the message when it is missing.
        asked: Items of the published set that the paper asks; None for a task that it does not have.
        longest: Words of the longest text that is asked: a voice would need half a minute for 60.
        planned: How long an item is, for estimates before the set is there.
        file: The user's own file of items; None where they come with the task or from a published set.
        dataset: The data set of the hub that the user's own task is read from.
    """

    name: str
    title: str = ""
    short_title: str = ""
    remark: str = ""
    labels: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    balanced: bool = True
    has_options: bool = False
    text_sufficient: bool = True
    wider: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    patterns: tuple[str, ...]
    obtain: str
    asked: int | None = None
    longest: int = 60
    planned: Length = Length(words=15, letters=85)
    file: Path | None = None
    dataset: DatasetSpec | None = None

    @property
    def beside(self) -> Path | None:
        """The folder with `items`, `sets.yaml` and `exclusions` of a task that is not the package's: its module's."""
        own = Path(inspect.getfile(type(self))).resolve().parent
        return None if own == Path(__file__).resolve().parent else own

    def fault(self, sets: Path) -> str | None:
        """What is wrong with the user's own items as they lie here, data sets below `sets`; None of other tasks."""
        del sets
        return None

    @property
    def module(self) -> str:
        """The module of the package that says what is particular to the task, as a path in the package."""
        return f"tasks/{Path(inspect.getfile(type(self))).name}"

    @property
    def resources(self) -> Path:
        """The folder with its items and what is known of its set."""
        return self.beside or RESOURCES

    def load_demo(self, folder: Path, split: Split = "test") -> list[Item]:
        """Read the project's own items.

        Args:
            folder: Folder with one `<task>.jsonl` a task.
            split: `test`, or `dev` for the items that only serve to choose prompts.

        Raises:
            StudyError: If the file is missing, broken, or has no item of the split.
        """
        path = folder / f"{self.name}.jsonl"
        if not path.is_file():
            raise StudyError(f"The demo items of {self.name} are missing: there is no file {path}.")
        items: list[Item] = []
        for number, line in enumerate(_own_lines(path), start=1):
            try:
                row = json.loads(line) if line.strip() else {"split": None}
                if row["split"] == split:
                    items.extend(map(checked, self._demo_items(row)))
            except FOREIGN as error:
                raise StudyError(
                    f"{path}, line {number}: not an item of {self.name} ({type(error).__name__}: {error})."
                ) from error
        if not items:
            raise StudyError(f"{path} has no item of the split {split!r}.")
        self._check_golds(items, path)
        return items

    def published_files(self, folder: Path) -> list[Path]:
        """Find the published set's files below `folder`, without reading them.

        Raises:
            StudyError: If they are not there; the message names the file, its place and its source.
        """
        return find_files(folder / self.name, self.name, self.patterns, self.obtain)

    def load_published(self, folder: Path) -> list[Item]:
        """Read the published set from `folder`/<task>, in its own layout.

        Raises:
            StudyError: If the file is missing or is not in the published layout.
        """
        items: list[Item] = []
        for path in self.published_files(folder):
            found: list[Item] = []
            try:
                for item in self._published_items(path, len(items)):
                    found.append(checked(item))
            except OSError as error:
                raise StudyError(f"{path} cannot be read ({error.strerror}).") from error
            except FOREIGN as error:
                reason = f"row {len(found) + 1}: {type(error).__name__}: {error}"
                raise StudyError(
                    f"{path} is not in the layout published for {self.name} ({reason}). Expected: {self.obtain}"
                ) from error
            if not found:
                raise StudyError(f"{path} holds no item of {self.name}. Expected: {self.obtain}")
            self._check_golds(found, path)
            items.extend(found)
        return items

    def parse(self, raw: str, options: Sequence[str], label_words: Mapping[str, str], prefix: str = "") -> str:
        """Turn a model's answer into a label, or `invalid`; never a guess.

        Args:
            raw: The answer.
            options: The item's options, if the task has them.
            label_words: Label: the word that the prompt uses for it.
            prefix: Words that the prompt has an answer begin with; a model may repeat them.
        """
        return parse_label(raw, self.answers(options, label_words), self.subjects, prefix)

    def score(self, parsed: str, item: Item) -> bool:
        """Whether a parsed answer is the gold answer; `invalid` never is."""
        return parsed != INVALID and parsed == item.label

    def answers(self, options: Sequence[str], label_words: Mapping[str, str]) -> dict[str, str]:
        """The answer a model is meant to give for each label; empty where answers are free."""
        del options
        return {label: label_words.get(label, label) for label in self.labels}

    def _check_golds(self, items: Sequence[Item], path: Path) -> None:
        """Refuse items that no answer can be right for; labels outside the label set are `check_items`' to tell."""
        lost = []
        for item in items:
            known = not self.labels or item.label in self.answers(item.options, {})
            golds = (item.label, *item.aliases)
            if known and item.label and not any(self.score(self.parse(gold, item.options, {}), item) for gold in golds):
                lost.append(item.id)
        if lost:
            raise StudyError(
                f"{path}: no answer can be scored as right for these items of {self.name}: "
                f"{some_of(lost)}. Mend their gold answers or leave them out."
            )

    def _demo_items(self, row: dict[str, Any]) -> list[Item]:
        """One demo row: an item, or one item a style for a carrier sentence."""
        if self.styles:
            return [
                Item(id=f"{text_field(row, 'id')}-{style}", text=row["text"], label=style, group=row["id"], style=style)
                for style in self.styles
            ]
        return [Item(id=row["id"], text=row["text"], label=row["label"], group=row["id"])]

    @abstractmethod
    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        """Read one published file; any lookup or conversion error means a file in another layout.

        Args:
            path: The file.
            earlier: Items in the set's earlier files, for sets whose items have numbers for names.
        """


def _own_lines(path: Path) -> list[str]:
    """The lines of a file of own items, which is UTF-8."""
    try:
        data = path.read_bytes()
        # Not splitlines(): JSON strings may hold U+2028 and other separators unescaped.
        return data.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise StudyError(
            f"{path}, line {number}: the byte 0x{data[error.start]:02X} is not UTF-8: save the file in that encoding."
        ) from error


def checked(item: Item) -> Item:
    """An item whose fields are texts, or tuples of texts, that can be written to a file.

    Raises:
        ValueError: If one is not.
    """
    for name in ("id", "text", "label", "group", "options", "aliases"):
        value = getattr(item, name)
        for text in value if isinstance(value, tuple) else (value,):
            if not isinstance(text, str):
                raise ValueError(f"`{name}` holds {text!r}, which is no text")
            text.encode()
    return item
