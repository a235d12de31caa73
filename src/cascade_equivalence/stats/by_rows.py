"""Intervals the paper's way: rows, one an item in a voice, are drawn as if each were an observation of its own.

The widths of the paper's intervals (its Figure 1) fit this reading. Voices of one text tend to agree with each other,
which makes such intervals too narrow; they stand beside those of whole texts for comparison.

Rows of one kind, such as those with the same two answers, count alike. A draw of rows is then a draw of how many there
are of each kind, which is multinomial with the kinds' shares: the same distribution, mostly without touching a row.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_equivalence.stats.accuracy import accuracy_difference
from cascade_equivalence.stats.agreement import kappa, lumped, observed_agreement
from cascade_equivalence.stats.bootstrap import Weights, percentiles
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.overlap import error_overlap, same_wrong
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, Statistic

BLOCK = 1 << 22  # numbers held at a time; draws come one by one, so a seed means the same whatever this is
ROWS_A_KIND = 16  # drawing the count of a kind takes about as long as drawing so many rows


def by_rows(paired: Paired, *, draws: int, confidence: float, seed: int) -> dict[str, Any]:
    """Estimate a pair's agreement from draws of rows.

    Args:
        paired: Two systems' answers to the same clips.
        draws: Number of draws.
        confidence: Level of the intervals, in (0, 1).
        seed: Seed of the draws.

    Returns:
        ``kappa``, ``observed_agreement``, ``accuracy_difference``, ``overlap``: each an ``Estimate`` as a dict.
    """
    found: dict[str, Estimate] = {}
    # Apart there are fewer kinds, of answers and of correctness, than together.
    for kinds, statistics_of in ((answer_kinds, _of_answers), (correctness_kinds, _of_correctness)):
        one_each, rows = distinct(paired, kinds(paired))
        drawn = draw_kinds(rows, draws, seed)
        found |= percentiles(statistics_of(one_each), rows.astype(float), drawn, confidence=confidence)
    return {name: asdict(each) for name, each in found.items()}


def answer_kinds(paired: Paired) -> NDArray[np.intp]:
    """A number for each pair of answers, (rows,); answers that only one system ever gives are not told apart."""
    system, reference, count = lumped(paired)
    return system * count + reference


def correctness_kinds(paired: Paired) -> NDArray[np.intp]:
    """A number for who is right and whether both gave the same wrong answer, (rows,)."""
    return 4 * same_wrong(paired) + 2 * paired.system_correct.astype(np.intp) + paired.reference_correct


def distinct(paired: Paired, kinds: NDArray[np.intp]) -> tuple[Paired, NDArray[np.int64]]:
    """One row of each kind, in a group of its own, and how many there are of it, (kinds,); the commonest kind first.

    Args:
        paired: Two systems' answers to the same clips.
        kinds: The kind of each row, (rows,).
    """
    _, first, rows = np.unique(kinds, return_index=True, return_counts=True)
    # Counts are drawn one kind after the other until no rows are left.
    order = np.argsort(-rows, kind="stable")
    columns = ("system", "reference", "gold", "system_correct", "reference_correct")
    picked = {name: getattr(paired, name)[first[order]] for name in columns}
    return replace(paired, **picked, clusters=Clusters(np.arange(len(rows)), len(rows))), rows[order]


def draw_kinds(rows: NDArray[np.int64], draws: int, seed: int) -> Iterator[Weights]:
    """Draw as many rows as there are, with replacement, and count those of each kind.

    Args:
        rows: Rows of each kind, (kinds,).
        draws: Number of draws.
        seed: Seed of the generator.

    Yields:
        Counts (some draws, kinds); every draw sums to ``rows.sum()``.
    """
    generator = np.random.default_rng(seed)
    total, count = int(rows.sum()), len(rows)
    many = count * ROWS_A_KIND > total
    kind = np.repeat(np.arange(count), rows)
    block = max(1, BLOCK // (total if many else count))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        if many:
            drawn = kind[generator.integers(0, total, (size, total))] + np.arange(size)[:, None] * count
            counts = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        else:
            counts = generator.multinomial(total, rows / total, size)
        yield counts.astype(np.float32)


def _of_answers(paired: Paired) -> dict[str, Statistic]:
    return {"kappa": kappa(paired), "observed_agreement": observed_agreement(paired)}


def _of_correctness(paired: Paired) -> dict[str, Statistic]:
    difference = accuracy_difference(paired.clusters, paired.system_correct, paired.reference_correct)
    return {"accuracy_difference": difference, "overlap": error_overlap(paired)}
