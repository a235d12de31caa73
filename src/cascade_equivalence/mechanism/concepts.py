"""What is erased, as columns of numbers: one row an utterance, or one-hot labels of frames (paper section 3.4)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from cascade_equivalence.config.mechanism import ConceptName, ErasureConfig
from cascade_equivalence.mechanism.characters import Alphabet

OTHER = "<other>"
"""The class of texts whose first word has none of its own; no normalised word has brackets."""
SHUFFLE = 1
"""Tells the stream of shuffled labels from others of the same seed."""
AT_LEAST = 2
"""Utterances of a class: one alone would be the utterance itself rather than its first word."""


@dataclass(frozen=True)
class Columns:
    """A concept of utterances.

    Attributes:
        names: What each column is.
        values: One row an utterance, (utterances, columns).
        reason: Why there is nothing to erase, or None.
    """

    names: tuple[str, ...]
    values: np.ndarray
    reason: str | None = None


def utterance_columns(
    concept: ConceptName, table: pl.DataFrame, config: ErasureConfig, alphabet: str, weights: np.ndarray
) -> Columns:
    """The columns of a concept that is the same throughout an utterance.

    Args:
        concept: ``proxy``, ``permuted``, ``boc`` or ``acoustic``.
        table: Rows of the utterances table.
        config: The settings.
        alphabet: Characters of the bag.
        weights: Rows that each utterance is fitted with, (utterances,).
    """
    texts = table["text"].to_list()
    if concept == "boc":
        return bag_of_characters(texts, alphabet, weights)
    if concept == "acoustic":
        energy, pitch = (table[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("energy_db", "log_f0"))
        return acoustic(energy, pitch, weights)
    columns = proxy(texts, config.proxy_classes)
    return permuted(columns, config.seed) if concept == "permuted" else columns


def first_words(texts: Sequence[str]) -> list[str]:
    """First word of each text after Whisper's English normaliser, lower-cased; empty where no word is left."""
    from whisper.normalizers import EnglishTextNormalizer

    normalise = EnglishTextNormalizer()
    return [next(iter(normalise(text).lower().split()), "") for text in texts]


def proxy(texts: Sequence[str], classes: int | None = None) -> Columns:
    """First words as one-hot columns: the paper's linear proxy of the text.

    Args:
        texts: What each utterance says.
        classes: Keep this many words, the commonest first and equally common ones in the order of the alphabet,
            however often they occur; None keeps every word that begins two texts. All others share a class.
    """
    words = first_words(texts)
    ranked = sorted(((word, n) for word, n in Counter(words).items() if word), key=lambda pair: (-pair[1], pair[0]))
    kept = [word for word, n in ranked if n >= AT_LEAST] if classes is None else [word for word, _ in ranked[:classes]]
    places = {word: place for place, word in enumerate(kept)}
    labels = np.array([places.get(word, len(kept)) for word in words], dtype=np.intp)
    names = (*kept, OTHER) if (labels == len(kept)).any() else tuple(kept)
    reason = None
    if len(names) < 2:  # noqa: PLR2004 - a single class is the same everywhere
        reason = f"no first word tells the {len(texts)} utterances apart: " + (
            "none begins two of them" if not kept else f"all begin with {kept[0]!r}"
        )
    return Columns(names, np.eye(len(names))[labels], reason)


def permuted(columns: Columns, seed: int) -> Columns:
    """The same labels given to other utterances: as many classes of the same sizes, and nothing to know about them."""
    order = np.random.default_rng([seed, SHUFFLE]).permutation(len(columns.values))
    return replace(columns, values=columns.values[order])


def bag_of_characters(texts: Sequence[str], alphabet: str, weights: np.ndarray) -> Columns:
    """Relative frequency of each character, standardised.

    Raw frequencies have standard deviations of about 0.01, so the eraser's tolerance would take them for noise. A text
    without any of the characters gets the mean, which is 0 here.

    Args:
        texts: What each utterance says.
        alphabet: The characters.
        weights: Rows that each utterance is fitted with, (utterances,).
    """
    characters = Alphabet(alphabet)
    raw = np.array([characters.frequencies(text) for text in texts]).reshape(len(texts), len(alphabet))
    return Columns(tuple(alphabet), _known_standardised(raw, np.isfinite(raw).all(1), weights))


def acoustic(energy_db: np.ndarray, log_f0: np.ndarray, weights: np.ndarray) -> Columns:
    """Energy and pitch, standardised.

    An utterance without pitch (no frame of it is voiced) gets the mean of those that have one, which is 0 here; so does
    one without energy. It then adds nothing to the covariance of pitch and states: the directions are those of leaving
    it out, while its energy and its share of the states' covariance, which all concepts have in common, still count.

    Args:
        energy_db: Mean energy in dB, not finite without one, (utterances,).
        log_f0: Mean logarithm of the pitch, not finite without one, (utterances,).
        weights: Rows that each utterance is fitted with, (utterances,).
    """
    columns = [_known_standardised(raw[:, None], np.isfinite(raw), weights) for raw in (energy_db, log_f0)]
    return Columns(("energy_db", "log_f0"), np.hstack(columns))


def _known_standardised(values: np.ndarray, known: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standardised over the rows that are known; the others get the mean."""
    columns = np.zeros_like(values, dtype=np.float64)
    columns[known] = standardised(values[known], weights[known])
    return columns


def standardised(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and standard deviation 1 over weighted rows; 0 where a column does not vary.

    Args:
        values: (rows, columns); rows may be missing altogether.
        weights: How often each row counts, (rows,).
    """
    total = weights.sum()
    if not total:
        return np.zeros_like(values, dtype=np.float64)
    shares = weights / total
    centred = values - shares @ values
    spread = np.sqrt(shares @ centred**2)
    # What is left of a constant column by rounding is no variation.
    varies = spread > 1e-12 * np.abs(values).max(0, initial=0)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=varies)
