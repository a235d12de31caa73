"""Word errors after Whisper's own English normaliser.

That normaliser drops what stands in brackets, for that is how Whisper writes what nobody said, such as "[Music]". In a
reference the brackets are of the written text, and a voice has spoken what is in them: there they come off. So they do
in a transcript where they hold words that the reference has in brackets; whatever else it has in brackets is dropped,
as is the field's custom.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

# The brackets of Whisper's normaliser, in its order.
_BRACKETED = (re.compile(r"[<\[][^>\]]*[>\]]"), re.compile(r"\([^)]+?\)"))
# "film(s)" is spoken as one word.
_ENDING = re.compile(r"(?<=\w)\((\w{1,2})\)")
_BRACKETS = str.maketrans(dict.fromkeys("()[]<>", " "))


class WordEdits(NamedTuple):
    """The fewest edits that make a transcript of what was said.

    Attributes:
        words: Words that were said.
        substituted: Words that another stands for.
        deleted: Words that were left out.
        inserted: Words that nobody said.
    """

    words: int
    substituted: int
    deleted: int
    inserted: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substituted + self.deleted + self.inserted


EDITS = WordEdits._fields[1:]
"""The kinds of word errors."""


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[tuple[int, int]]:
    """Count words and word errors of each clip, as :func:`word_edits` does.

    Returns:
        For each clip: words of the normalised reference, and all edits. The word error rate of a set of clips is the
        ratio of the sums.
    """
    return [(found.words, found.errors) for found in word_edits(references, hypotheses)]


def word_edits(references: Sequence[str], hypotheses: Sequence[str]) -> list[WordEdits]:
    """Count words and word errors of each clip, by kind.

    Args:
        references: What was said, in brackets or not.
        hypotheses: What was transcribed, in the same order.

    Returns:
        The edits of each clip, between normalised texts.
    """
    from jiwer import process_words
    from whisper.normalizers import EnglishTextNormalizer

    normalise = EnglishTextNormalizer()

    def words(text: str) -> list[str]:
        return str(normalise(text.translate(_BRACKETS))).split()

    counts = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        said, heard = words(_joined(reference)), words(_without_asides(hypothesis, reference, words))
        if not said:
            # jiwer refuses an empty reference; every word heard is an insertion then.
            counts.append(WordEdits(0, 0, 0, len(heard)))
            continue
        found = process_words(" ".join(said), " ".join(heard))
        counts.append(WordEdits(len(said), found.substitutions, found.deletions, found.insertions))
    return counts


def _joined(text: str) -> str:
    return _ENDING.sub(r"\1", text)


def _without_asides(hypothesis: str, reference: str, words: Callable[[str], list[str]]) -> str:
    """A transcript without what it has in brackets, unless it is what the reference has in brackets."""
    text, said = _joined(hypothesis), _joined(reference)
    spoken = {word for pattern in _BRACKETED for part in pattern.findall(said) for word in words(part)}
    for pattern in _BRACKETED:
        text = pattern.sub(lambda match: match[0] if spoken.issuperset(words(match[0])) else "", text)
    return text
