"""Which rows belong together: whole texts are independent, but six voices of one text are not six observations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Clusters:
    """Which group each row belongs to.

    Attributes:
        index: Group of each row, (rows,).
        count: Number of groups.
    """

    index: NDArray[np.intp]
    count: int

    @classmethod
    def of(cls, groups: Sequence[str]) -> "Clusters":
        """Number the groups in the order of their names, so that nothing depends on the order of the rows."""
        names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        return cls(index.astype(np.intp), len(names))

    def among(self, rows: Bools) -> "Clusters":
        """The groups of some of the rows, numbered anew."""
        groups, index = np.unique(self.index[rows], return_inverse=True)
        return Clusters(index.astype(np.intp), len(groups))

    def totals(self, values: ArrayLike) -> Floats:
        """Sum a value per row, (rows,), within each group, (groups,)."""
        return np.bincount(self.index, weights=np.asarray(values), minlength=self.count).astype(np.float64)

    def tally(self, codes: NDArray[np.intp], categories: int) -> sparse.csr_array:
        """Count each category, given as a code per row, within each group: (groups, categories), sparse."""
        ones = np.ones(len(codes))
        return sparse.coo_array((ones, (self.index, codes)), shape=(self.count, categories)).tocsr()
