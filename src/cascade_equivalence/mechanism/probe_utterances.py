"""The utterances that a layer is probed on, and who speaks them.

A voice has a pitch and a loudness of its own, so that a probe which only knows the voice predicts both well; whether
the sound of an utterance is there shows within voices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_equivalence.mechanism.characters import Alphabet
from cascade_equivalence.mechanism.said import text_numbers
from cascade_equivalence.stats.explained import Explained

Floats = NDArray[np.float64]
ROUNDING = 1e-12
"""A distance this small against the value itself is none."""


@dataclass(frozen=True)
class Utterances:
    """The utterances of a layer, in the order of the utterances table.

    Attributes:
        items: Task and id.
        voices: Who speaks.
        texts: What is spoken.
        train: Whether it trains rather than tests, (utterances,).
        alphabet: Characters of the training texts.
    """

    items: Sequence[str]
    voices: Sequence[str]
    texts: Sequence[str]
    train: np.ndarray
    alphabet: Alphabet

    def places(self, train: bool) -> list[int]:
        """Places of those that train, or of those that test."""
        found: list[int] = np.flatnonzero(self.train == train).tolist()
        return found

    def voice_means(self, values: Floats) -> Floats:
        """Mean of each utterance's voice over the training utterances that have a value.

        Args:
            values: (utterances, columns), NaN where there is none.

        Returns:
            (utterances, columns), NaN where the voice has no such training utterance.
        """
        means = np.full_like(values, np.nan)
        there = np.isfinite(values).all(axis=1) & self.train
        for voice in set(self.voices):
            own = np.array([each == voice for each in self.voices])
            if (learnt := own & there).any():
                means[own] = values[learnt].mean(axis=0)
        return means

    def within_voices(self, values: Floats) -> Floats:
        """Values minus the mean of their voice, see ``voice_means``; (utterances, columns)."""
        apart = values - self.voice_means(values)
        apart[np.abs(apart) <= ROUNDING * np.abs(values)] = 0
        return apart

    def shuffled(self, places: Sequence[int] | NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
        """Some places, each exchanged for another one of the same voice."""
        order = np.array(places, dtype=np.intp)
        voices = np.array([self.voices[place] for place in order.tolist()])
        for voice in np.unique(voices):
            own = np.flatnonzero(voices == voice)
            order[own] = order[generator.permutation(own)]
        return order

    def told_apart(self, places: Sequence[int] | NDArray[np.intp], found: Explained) -> dict[str, list[Any]]:
        """What a probe misses of each of some utterances, so that voices are compared on the same texts.

        Args:
            places: The utterances.
            found: What is explained of each, in their order.

        Returns:
            ``said`` (number of the text), ``voice``, ``missed`` and ``there``, as lists for JSON.
        """
        numbers, own = text_numbers(self.texts).tolist(), np.asarray(places, dtype=np.intp).tolist()
        return {
            "said": [numbers[place] for place in own],
            "voice": [self.voices[place] for place in own],
            "missed": found.missed.tolist(),
            "there": found.there.tolist(),
        }
