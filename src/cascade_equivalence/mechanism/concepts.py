"""The concepts of the package: what is erased, as columns of numbers (paper section 3.4).

A concept is one object; whatever lists concepts reads them off the registry, in this order, which is the paper's.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from cascade_equivalence.config.mechanism import ErasureConfig
from cascade_equivalence.mechanism.characters import Alphabet
from cascade_equivalence.mechanism.concept import Columns, Concept, Pooled, standardised

if TYPE_CHECKING:
    from cascade_equivalence.mechanism.frame_labels import FrameLabels, ProbedFrames

OTHER = "<other>"
"""The class of texts whose first word has none of its own; no normalised word has brackets."""
SHUFFLE = 1
"""Tells the stream of shuffled labels from others of the same seed."""
AT_LEAST = 2
"""Utterances of a class: one alone would be the utterance itself rather than its first word."""


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
    return Columns(names, np.eye(len(names))[labels], reason, classes=True)


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


def _proxy(table: pl.DataFrame, config: ErasureConfig, _alphabet: str, _weights: np.ndarray) -> Columns:
    return proxy(table["text"].to_list(), config.proxy_classes)


def _permuted(table: pl.DataFrame, config: ErasureConfig, alphabet: str, weights: np.ndarray) -> Columns:
    return permuted(_proxy(table, config, alphabet, weights), config.seed)


def _bag(table: pl.DataFrame, _config: ErasureConfig, alphabet: str, weights: np.ndarray) -> Columns:
    return bag_of_characters(table["text"].to_list(), alphabet, weights)


def _acoustic(table: pl.DataFrame, _config: ErasureConfig, _alphabet: str, weights: np.ndarray) -> Columns:
    energy, pitch = (table[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("energy_db", "log_f0"))
    return acoustic(energy, pitch, weights)


def class_columns(labels: np.ndarray, classes: int) -> np.ndarray:
    """One-hot columns (rows, classes) of classes (rows,)."""
    return np.eye(classes)[labels]


def voices(table: pl.DataFrame) -> Columns:
    """Who speaks, as one-hot columns."""
    names = sorted(set(table["voice"]))
    one = "all utterances are of one voice" if len(names) < 2 else None  # noqa: PLR2004 - there is nothing to tell apart
    places = {name: place for place, name in enumerate(names)}
    labels = np.array([places[name] for name in table["voice"]], dtype=np.intp)
    return Columns(tuple(names), class_columns(labels, len(names)), one, classes=True)


def between_classes(pooled: Pooled, columns: np.ndarray) -> np.ndarray:
    """Means of classes minus the mean of all, each as often as it has rows: the between-class covariance."""
    weighted = columns * pooled.rows[:, None]
    # A class without a row has no mean.
    weighted = weighted[:, weighted.any(0)]
    counts = weighted.sum(0)
    means = weighted.T @ pooled.heard / counts[:, None]
    apart: np.ndarray = np.sqrt(counts)[:, None] * (means - counts @ means / counts.sum())
    return apart


def heard_minus_read(pooled: Pooled, _columns: np.ndarray) -> np.ndarray:
    """What an utterance's mean state is, heard, beyond what it is, read: its part that is particular to sound."""
    assert pooled.read is not None
    apart = pooled.heard - pooled.read
    return apart[np.isfinite(apart).all(1)]


def _voices(table: pl.DataFrame, _config: ErasureConfig, _alphabet: str, _weights: np.ndarray) -> Columns:
    return voices(table)


def _nothing(table: pl.DataFrame, _config: ErasureConfig, _alphabet: str, _weights: np.ndarray) -> Columns:
    # No label goes with it that a probe could read.
    return Columns(("heard minus read",), np.zeros((table.height, 1)))


def _read_by_ctc(frames: "ProbedFrames", config: ErasureConfig) -> "FrameLabels":
    # Its module imports torch, which whoever only lists concepts does without.
    from cascade_equivalence.mechanism.frame_labels import ctc_labels

    return ctc_labels(frames, config.ctc_labels)


# Planned directions are those of the paper's Table 7.
KIND = Concept
OWN = (
    Concept(
        name="proxy",
        title="Text (first word)",
        about="the first word",
        kind="text",
        columns=_proxy,
        directions=159,
    ),
    Concept(
        name="ctc",
        title="CTC",
        about="the characters that the layer's own CTC probe reads, frame by frame",
        kind="text",
        labels=_read_by_ctc,
        directions=49,
        settings=frozenset({"ctc_labels"}),
    ),
    Concept(name="boc", title="BoC", about="the bag of characters", kind="text", columns=_bag, directions=48),
    Concept(name="acoustic", title="Acoustic", about="pitch and energy", kind="sound", columns=_acoustic, directions=2),
    Concept(
        name="voice",
        title="Voice (variance)",
        about="the directions that hold most of the variance between voices' mean states",
        kind="subspace",
        columns=_voices,
        deviations=between_classes,
        settings=frozenset({"variance_share", "variance_seeds"}),
    ),
    Concept(
        name="modality",
        title="Heard minus read (variance)",
        about="the directions that hold most of what mean states are, heard, beyond what they are, read",
        kind="subspace",
        columns=_nothing,
        deviations=heard_minus_read,
        reads=True,
        directions=20,
        settings=frozenset({"variance_share", "variance_seeds"}),
    ),
    Concept(
        name="permuted",
        title="First word, labels shuffled",
        about="a control: the proxy, with its labels shuffled",
        kind="control",
        columns=_permuted,
        directions=159,
        control_of="proxy",
        fitted="the first word's eraser fitted on shuffled labels",
        brief="shuffled labels",
    ),
)
"""The concepts of the package."""
