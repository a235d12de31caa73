"""The error overlap that chance gives, as a distribution: a permutation test within gold labels.

The question is whether the two systems' wrong answers have anything to do with each other, once it is known what the
right answer is and that both are wrong. If they have not, the reference's wrong answers to one text could as well be
those to another text with the same gold label. Voices of one text are not independent, so they move together:

- A text is the rows of one group with one gold label that both systems got wrong.
- A draw exchanges the reference's answers to whole texts, among texts with the same gold label and the same number of
  such rows, at random, and shuffles them within each text. Every answer of either system stays in use exactly once.

Texts of one size only: a text that is hard in every voice is exchanged with others that are, so that favourite errors
on hard texts are no evidence. A text that no other is like stays as it is, which makes the test weaker, never too
strong. If every text is one row, the mean over all permutations is ``overlap.empirical_chance``. Open answers have one
gold label.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_equivalence.stats.overlap import NONE_WRONG, ONE_WRONG, both_wrong
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.vocabulary import BINARY

CHUNK = 250  # draws held at a time; part of what a seed means
NO_EXCHANGE = "no two texts have the same gold label and the same number of clips that both systems got wrong"

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Permutation:
    """Result of one test.

    Attributes:
        mean: Mean overlap over the draws.
        low: Lower end of the range that holds the given share of the draws.
        high: Upper end of that range.
        p: One-sided p-value of an overlap at least as high as the observed one, (at_least + 1) / (draws + 1).
        at_least: Draws with an overlap at least as high as the observed one.
        draws: Number of draws.
        texts: Texts with rows that both systems got wrong.
        exchanged: Those of them that have another to be exchanged with.
        reason: Why there is no test.
    """

    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    at_least: int | None
    draws: int
    texts: int
    exchanged: int
    reason: str | None


def permutation_test(
    paired: Paired, labels: Sequence[str], *, draws: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Permutation:
    """Test whether two systems give the same wrong answer more often than unrelated errors would.

    Args:
        paired: Answers of the two systems.
        labels: The closed label set; empty for open answers. There is no test with two labels.
        draws: Number of random permutations.
        confidence: Share of the draws that lies within the range.
        seed: Seed of the permutations.

    Returns:
        The test; without values, but with a reason, where there is nothing to exchange.
    """
    texts = _Texts.of(paired)
    sizes, exchanged = len(texts.size), texts.exchanged
    obstacles = {ONE_WRONG: len(labels) == BINARY, NONE_WRONG: not sizes, NO_EXCHANGE: not exchanged}
    if reason := next((why for why, given in obstacles.items() if given), None):
        return Permutation(None, None, None, None, None, draws, sizes, exchanged, reason)
    generator = np.random.default_rng(seed)
    chunks = [min(CHUNK, draws - start) for start in range(0, draws, CHUNK)]
    same = np.concatenate([texts.permuted(generator, count) for count in chunks])
    at_least = int(np.sum(same >= texts.observed))
    overlap = same / len(texts.system)
    tail = (1 - confidence) / 2
    low, high = np.quantile(overlap, [tail, 1 - tail])
    p = (at_least + 1) / (draws + 1)
    return Permutation(float(overlap.mean()), float(low), float(high), p, at_least, draws, sizes, exchanged, None)


@dataclass(frozen=True)
class _Texts:
    """The rows both got wrong, text by text, in an order that does not depend on that of the rows.

    Attributes:
        system: The system's answer, (rows,); -1 where it could not be parsed, which equals no answer.
        reference: The reference's answer, (rows,).
        text: Text of each row, ascending, (rows,).
        rank: Number of the row within its text, (rows,).
        start: First row of each text, (texts,).
        size: Rows of each text, (texts,).
        like: Texts that may be exchanged have the same number here, (texts,).
    """

    system: Codes
    reference: Codes
    text: Codes
    rank: Codes
    start: Codes
    size: Codes
    like: Codes

    @classmethod
    def of(cls, paired: Paired) -> "_Texts":
        wrong = both_wrong(paired)
        names = paired.gold[wrong] * paired.clusters.count + paired.clusters.index[wrong]
        system = np.where(paired.system[wrong] == paired.invalid, -1, paired.system[wrong])
        reference = paired.reference[wrong]
        order = np.lexsort((reference, system, names))
        found, start, text, size = np.unique(names[order], return_index=True, return_inverse=True, return_counts=True)
        gold = found // paired.clusters.count
        return cls(
            system=system[order],
            reference=reference[order],
            text=text,
            rank=np.arange(len(text)) - start[text],
            start=start,
            size=size,
            like=np.unique(gold * (len(text) + 1) + size, return_inverse=True)[1],
        )

    @property
    def observed(self) -> int:
        """Rows with the same wrong answer as they are."""
        return int(np.sum(self.system == self.reference))

    @property
    def exchanged(self) -> int:
        """Texts that are like another."""
        alike = np.bincount(self.like)
        return int(alike[alike > 1].sum())

    def permuted(self, generator: np.random.Generator, count: int) -> Codes:
        """Rows with the same wrong answer in each of some permutations, (count,)."""
        # Whole number plus a random fraction: sorting shuffles within each whole number.
        shuffled = np.argsort(self.text + generator.random((count, len(self.text))), axis=1)
        slots = np.argsort(self.like, kind="stable")
        drawn = np.argsort(self.like[slots] + generator.random((count, len(slots))), axis=1)
        donor = np.empty((count, len(slots)), dtype=np.intp)
        donor[:, slots] = slots[drawn]
        rows = self.start[donor[:, self.text]] + self.rank
        given = self.reference[np.take_along_axis(shuffled, rows, axis=1)]
        return np.sum(given == self.system, axis=1)
