"""Word errors after Whisper's own English normaliser.

That normaliser drops what stands in brackets, for that is how Whisper writes what nobody said, such as "[Music]". In a
reference the brackets are of the written text, and a voice has spoken what is in them: there they come off. So they do
in a transcript where they hold words that the reference has in brackets; whatever else it has in brackets is dropped,
as is the field's custom.
"""

import re
from collections.abc import Callable, Sequence

# The brackets of Whisper's normaliser, in its order.
_BRACKETED = (re.compile(r"[<\[][^>\]]*[>\]]"), re.compile(r"\([^)]+?\)"))
# "film(s)" is spoken as one word.
_ENDING = re.compile(r"(?<=\w)\((\w{1,2})\)")
_BRACKETS = str.maketrans(dict.fromkeys("()[]<>", " "))


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[tuple[int, int]]:
    """Count words and word errors of each clip.

    Args:
        references: What was said, in brackets or not.
        hypotheses: What was transcribed, in the same order.

    Returns:
        For each clip: words of the normalised reference, and substitutions + deletions + insertions. The word error
        rate of a set of clips is the ratio of the sums.
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
            counts.append((0, len(heard)))
            continue
        result = process_words(" ".join(said), " ".join(heard))
        counts.append((len(said), result.substitutions + result.deletions + result.insertions))
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
