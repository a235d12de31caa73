"""Agreement of two systems item by item: observed agreement and Cohen's kappa (Cohen 1960; paper section 3.3).

With matches m, category counts a_k of one system and b_k of the other, and n rows,

    kappa = (m/n - sum_k a_k b_k / n^2) / (1 - sum_k a_k b_k / n^2) = (n m - sum_k a_k b_k) / (n^2 - sum_k a_k b_k).

These sums are all that a K x K count table is needed for, so open answers with thousands of categories cost no more
than one entry a row. All terms are whole numbers, so the test for a zero denominator is exact.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.intervals import share
from cascade_equivalence.stats.kappa_interval import KappaScore
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Statistic, from_sums

UNDEFINED = "both systems gave one and the same answer to every item, so chance agreement is complete"


def cohen_kappa(matches: Floats, system: Floats, reference: Floats) -> Floats:
    """Cohen's kappa from sufficient sums, over any leading axes.

    For a table of counts C (..., K, K) these are its trace, ``C.sum(-1)`` and ``C.sum(-2)``.

    Args:
        matches: Rows on which both systems agree, (...).
        system: Rows in each category for the one system, (..., K).
        reference: Rows in each category for the other, (..., K).

    Returns:
        Kappa, (...); NaN where both are constant on the same category.
    """
    rows = system.sum(axis=-1)
    by_chance = (system * reference).sum(axis=-1)
    room = rows**2 - by_chance
    return np.divide(rows * matches - by_chance, room, out=np.full(np.shape(room), np.nan), where=room != 0)


def kappa(paired: Paired) -> Statistic:
    """Cohen's kappa with every parsed answer, and ``invalid``, as a category of its own."""
    return from_sums(
        margins(paired),
        lambda sums: cohen_kappa(*split_margins(sums)),
        UNDEFINED,
        lambda: KappaScore.of(paired).interval(),
    )


def observed_agreement(paired: Paired) -> Statistic:
    """Share of rows on which both systems gave the same answer, or both an invalid one."""
    return share(paired.clusters, paired.system == paired.reference, "there are no rows")


def margins(paired: Paired) -> sparse.csr_array:
    """The sums of every group that Cohen's kappa is made from, (groups, 1 + 2K): matches and both systems' counts.

    An answer that only one of the two ever gives can neither match nor add to chance agreement. One category for all of
    them leaves both as they are, and spares most of the columns of open answers.
    """
    clusters = paired.clusters
    system, reference, count = lumped(paired)
    matches = clusters.totals(paired.system == paired.reference)
    tallies = [clusters.tally(codes, count) for codes in (system, reference)]
    return sparse.hstack([sparse.csr_array(matches[:, None]), *tallies], format="csr")


def split_margins(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Matches (...), counts of the system (..., K) and of the reference (..., K), from sums of ``margins``."""
    count = sums.shape[-1] // 2
    return sums[..., 0], sums[..., 1 : count + 1], sums[..., count + 1 :]


def lumped(paired: Paired) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Codes of both systems, (rows,) each, all answers that only one of them ever gives being one; and their number."""
    common = np.intersect1d(paired.system, paired.reference)

    def encode(codes: NDArray[np.intp], own: int) -> NDArray[np.intp]:
        return np.where(np.isin(codes, common), np.searchsorted(common, codes), own)

    return encode(paired.system, len(common)), encode(paired.reference, len(common) + 1), len(common) + 2


def count_table(paired: Paired) -> np.ndarray:
    """Rows by (system's answer, reference's answer), (K, K); for closed label sets, where K is small."""
    table = np.zeros((len(paired.categories),) * 2, dtype=np.int64)
    np.add.at(table, (paired.system, paired.reference), 1)
    return table
