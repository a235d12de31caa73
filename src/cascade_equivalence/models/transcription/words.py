"""Word errors after Whisper's own English normaliser."""

from collections.abc import Sequence


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[tuple[int, int]]:
    """Count words and word errors of each clip.

    Args:
        references: What was said.
        hypotheses: What was transcribed, in the same order.

    Returns:
        For each clip: words of the normalised reference, and substitutions + deletions + insertions. The word error
        rate of a set of clips is the ratio of the sums.
    """
    from jiwer import process_words
    from whisper.normalizers import EnglishTextNormalizer

    normalise = EnglishTextNormalizer()
    counts = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        said, heard = normalise(reference).split(), normalise(hypothesis).split()
        if not said:
            # jiwer refuses an empty reference; every word heard is an insertion then.
            counts.append((0, len(heard)))
            continue
        result = process_words(" ".join(said), " ".join(heard))
        counts.append((len(said), result.substitutions + result.deletions + result.insertions))
    return counts
