"""Texts as characters: the alphabet, frequencies of characters, and label sequences of the CTC probe."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray


def normalise(text: str) -> str:
    """A text in lower case, in compatible characters (Unicode NFKC), with single spaces.

    Punctuation stays: the paper's 48 characters are more than letters, digits and the space.
    """
    lower = unicodedata.normalize("NFKC", text).lower()
    return " ".join(unicodedata.normalize("NFKC", lower).split())


@dataclass(frozen=True)
class Alphabet:
    """Characters that probes tell apart; the blank's label comes behind them.

    Attributes:
        characters: The characters, the commonest first; label k stands for the k-th.
    """

    characters: str

    @classmethod
    def of(cls, texts: Iterable[str], size: int) -> "Alphabet":
        """The commonest characters of some texts.

        Args:
            texts: Texts as they are spoken; of the training part only, so that nothing is known of the test part.
            size: Most characters to take; of equally common ones those that come first in Unicode.
        """
        counts = Counter(character for text in texts for character in normalise(text))
        ordered = sorted(counts, key=lambda character: (-counts[character], character))
        return cls("".join(ordered[:size]))

    @property
    def blank(self) -> int:
        """Label of the blank."""
        return len(self.characters)

    def clean(self, text: str) -> str:
        """A text, normalised and without the characters that are not in the alphabet."""
        known = set(self.characters)
        return " ".join("".join(character for character in normalise(text) if character in known).split())

    def labels(self, text: str) -> list[int]:
        """Label of each character of a cleaned text: what the CTC probe is to say."""
        code = {character: label for label, character in enumerate(self.characters)}
        return [code[character] for character in self.clean(text)]

    def spell(self, labels: Iterable[int]) -> str:
        """Greedy CTC decoding: runs of a label become one character, blanks go, then spaces become single ones."""
        runs = (label for label, _ in groupby(labels))
        return " ".join("".join(self.characters[label] for label in runs if label != self.blank).split())

    def frequencies(self, text: str) -> NDArray[np.float64]:
        """Bag of characters: share of each character in a cleaned text, (characters,); NaN if nothing is left of it."""
        counts = np.bincount(self.labels(text), minlength=len(self.characters)).astype(np.float64)
        total = counts.sum()
        return counts / total if total else np.full(len(counts), np.nan)


def outputs_needed(labels: Sequence[int]) -> int:
    """Fewest outputs that can say a label sequence under CTC: two equal neighbours need a blank between them."""
    return len(labels) + sum(first == second for first, second in pairwise(labels))


def feasible(frames: int, upsample: int, labels: Sequence[int]) -> bool:
    """Whether an utterance can teach or show a label sequence: it is not empty, and its frames suffice.

    Args:
        frames: Frames of the utterance.
        upsample: Outputs of a frame.
        labels: The sequence.
    """
    return 0 < outputs_needed(labels) <= frames * upsample


def character_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Count characters and character errors of an utterance.

    Args:
        reference: What was said, cleaned.
        hypothesis: What was decoded.

    Returns:
        Characters of the reference, and substitutions + deletions + insertions. The character error rate of a set of
        utterances is the ratio of the sums.
    """
    from jiwer import process_characters

    if not reference:
        # jiwer refuses an empty reference; every character decoded is an insertion then.
        return 0, len(hypothesis)
    result = process_characters(reference, hypothesis)
    return len(reference), result.substitutions + result.deletions + result.insertions
