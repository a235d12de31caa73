"""A concept to erase: how long a text is, in words, taken as something of the text."""

import numpy as np
import polars as pl

from cascade_equivalence.config.mechanism import ErasureConfig
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.mechanism.concept import Columns, Concept, standardised


def words(table: pl.DataFrame, config: ErasureConfig, alphabet: str, weights: np.ndarray) -> Columns:
    """One column: the number of words of each utterance, standardised."""
    del config, alphabet
    counts = np.array([[float(len(text.split()))] for text in table["text"]])
    return Columns(("words",), standardised(counts, weights))


CONCEPTS.add(
    Concept(name="words", title="Number of words", about="the number of words of the text", kind="text", columns=words)
)
