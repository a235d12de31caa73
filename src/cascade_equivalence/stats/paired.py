"""Two systems' answers to the same clips as arrays, which the statistics of pairs take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.vocabulary import INVALID


@dataclass(frozen=True)
class Paired:
    """Two systems' answers to the same clips.

    Attributes:
        categories: The possible answers and ``invalid``, which comes last.
        system: Code of the system's answer, (rows,).
        reference: Code of the reference's answer, (rows,).
        gold: Code of the gold label, (rows,); 0 throughout for open answers, where almost every item has its own.
        system_correct: Whether the system is right, (rows,).
        reference_correct: Whether the reference is right, (rows,).
        clusters: The group of each row.
    """

    categories: tuple[str, ...]
    system: NDArray[np.intp]
    reference: NDArray[np.intp]
    gold: NDArray[np.intp]
    system_correct: NDArray[np.bool_]
    reference_correct: NDArray[np.bool_]
    clusters: Clusters

    @classmethod
    def of(cls, joined: pl.DataFrame, labels: Sequence[str]) -> "Paired":
        """Encode a joined table.

        Args:
            joined: What ``join_pair`` gives.
            labels: The closed label set; empty for open answers, whose categories are the answers that occur.
        """
        found = {*joined["system_parsed"], *joined["reference_parsed"]} - {INVALID}
        categories = (*(labels or sorted(found)), INVALID)
        codes = {category: code for code, category in enumerate(categories)}

        def encode(column: str) -> NDArray[np.intp]:
            return np.array([codes[value] for value in joined[column]], dtype=np.intp)

        return cls(
            categories=categories,
            system=encode("system_parsed"),
            reference=encode("reference_parsed"),
            gold=encode("label") if labels else np.zeros(joined.height, dtype=np.intp),
            system_correct=joined["system_correct"].to_numpy(),
            reference_correct=joined["reference_correct"].to_numpy(),
            clusters=Clusters.of(joined["group"].to_list()),
        )

    @property
    def invalid(self) -> int:
        """Code of ``invalid``."""
        return len(self.categories) - 1
