"""SST-2: the polarity of a sentence from a film review."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item, Length, Task
from cascade_equivalence.tasks.cleaning import clean_until_stable
from cascade_equivalence.tasks.published import read_rows, read_text, text_field

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "(", "-rsb-": ")", "-lcb-": "(", "-rcb-": ")"}
_BRACKET = re.compile(r"-[lr][rsc]b-", re.IGNORECASE)
_LABELS = {0: "negative", 1: "positive"}
# The end of a sentence, with what closes quotes and brackets behind it.
_STOP = frozenset({".", "!", "?", "..."})
_CLOSING = frozenset({"''", "'", '"', "-rrb-"})


class Sst2(Task):
    """SST-2 as GLUE publishes it: lower-cased, tokenised; the labelled part is the validation split.

    It has 872 items. A larger sample is filled up with whole sentences of the training part, as far as it is there.

    Attributes:
        reserve_patterns: Names of the training part's file, in order of preference.
    """

    name = "sst2"
    title = "SST-2"
    short_title = "SST"
    asked = 1000
    planned = Length(words=16.9, letters=102)
    labels = ("positive", "negative")
    subjects = ("sentiment", "polarity")
    patterns = ("dev.tsv", "validation*.parquet")
    reserve_patterns = ("train.tsv", "train*.parquet")
    obtain = (
        "`dev.tsv` of GLUE's SST-2.zip (header `sentence label`), or the validation Parquet file of "
        "huggingface.co/datasets/nyu-mll/glue, config sst2, as sst2/validation-00000-of-00001.parquet."
    )

    def reserve_files(self, folder: Path) -> list[Path]:
        """Find the training part's files below `folder`, without reading them; none if they are not there."""
        for pattern in self.reserve_patterns:
            if found := sorted((folder / self.name).glob(pattern)):
                return found
        return []

    def load_reserve(self, folder: Path) -> list[Item]:
        """Read the whole sentences of the training part, which is made of sentences and their phrases.

        Raises:
            StudyError: If the file is not in the published layout.
        """
        try:
            rows = [row for path in self.reserve_files(folder) for row in _read(path)]
            whole = _whole_sentences([sentence for sentence, _ in rows])
            return [
                _item(f"sst2-train-{index:05d}", sentence, label)
                for index, (sentence, label) in enumerate(rows)
                if index in whole
            ]
        except (ValueError, KeyError, TypeError, csv.Error, pl.exceptions.PolarsError) as error:
            raise StudyError(
                f"{self.reserve_files(folder)[0]} is not the training part of SST-2 as GLUE publishes it "
                f"({type(error).__name__}: {error}); it needs the columns sentence and label."
            ) from error

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        # GLUE's own index is the row number.
        for index, (sentence, label) in enumerate(_read(path), start=earlier):
            yield _item(f"sst2-{index:04d}", sentence, label)


def _read(path: Path) -> Iterator[tuple[str, int]]:
    table: Iterable[dict[str, Any]]
    if path.suffix == ".parquet":
        table = read_rows(path)
    else:
        table = csv.DictReader(io.StringIO(read_text(path)), delimiter="\t", quoting=csv.QUOTE_NONE)
    return ((text_field(row, "sentence"), int(row["label"])) for row in table)


def _item(name: str, sentence: str, label: int) -> Item:
    return Item(id=name, text=clean_review(sentence), label=_LABELS[label], group=name)


def _whole_sentences(texts: Collection[str]) -> set[int]:
    """Which texts end as sentences do and are no part of a longer one; of equal ones the first."""
    words = [tuple(text.split()) for text in texts]
    ending = {text for text in words if len(text) in _ends(text)}
    parts = {
        text[start:end]
        for text in words
        for end in _ends(text)
        for start in range(end)
        if end - start < len(text) and text[start:end] in ending
    }
    first = {text: index for index, text in reversed(list(enumerate(words)))}
    return {first[text] for text in ending - parts}


def _ends(words: tuple[str, ...]) -> list[int]:
    """After how many words a sentence may end."""
    places = []
    ended = False
    for count, word in enumerate(words, start=1):
        ended = word in _STOP or (ended and word in _CLOSING)
        if ended:
            places.append(count)
    return places


def clean_review(text: str) -> str:
    """Undo the tokenisation of a review sentence so that it can be read aloud.

    "it does n't , -lrb- really -rrb- ." becomes "It doesn't, (really)."
    """
    return clean_until_stable(text, _detokenise)


def _detokenise(text: str) -> str:
    text = _BRACKET.sub(lambda match: _BRACKETS[match[0].lower()], text)
    # The corpus restored capitals as "( t ) his" and plurals as "put ( s )".
    text = re.sub(r"^\s*\(\s(\w)\s\)\s(?=[a-z])", r"\1", text)
    text = re.sub(r"(?<=\w)\s\(\s(\w)\s\)", r"\1", text)
    text = re.sub(r"``\s*", '"', text)
    text = re.sub(r"\s*''", '"', text)
    text = re.sub(r"`\s*", "'", text)
    text = re.sub(r"\s+(?=(?:n't|'(?:s|m|re|ve|ll|d))\b)", "", text)
    text = re.sub(r"\s+'(?=\s|$)", "'", text)
    text = re.sub(r"\bi\b(?=$|[\s,]|'[a-z])", "I", text)
    return re.sub(r"^(\W*)(\w)", lambda match: match[1] + match[2].upper(), text)
