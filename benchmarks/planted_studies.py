"""Made-up studies of two systems whose every probability is known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.paired import Paired

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Planted:
    """Two systems whose every probability is known.

    Attributes:
        labels: Number of labels; wrong answers favour some of them.
        texts: Number of texts.
        shared: Probability that the systems have one answer to a text, not one each.
        anew: Probability that a system answers anew in a voice.
        accuracy: Mean of the two accuracies.
        difference: System's accuracy minus the reference's.
        voices: Voices a text.
    """

    labels: int
    texts: int
    shared: float
    anew: float = 0.2
    accuracy: float = 0.8
    difference: float = 0.0
    voices: int = 6

    @property
    def priors(self) -> Floats:
        """Probability of each gold label."""
        share = 0.8 ** np.arange(self.labels)
        return share / share.sum()

    def answers(self, accuracy: float) -> Floats:
        """Probability of each answer, (gold, answer)."""
        wrong = 0.5 ** np.arange(self.labels - 1)
        row = np.concatenate([[accuracy], (1 - accuracy) * wrong / wrong.sum()])
        return np.stack([np.roll(row, gold) for gold in range(self.labels)])

    @property
    def tables(self) -> list[Floats]:
        """Probabilities of a shared answer, of the system's own and of the reference's own."""
        apart = self.difference / (2 * ((1 - self.anew) * (1 - self.shared) + self.anew))
        return [self.answers(self.accuracy + step) for step in (0, apart, -apart)]

    def joint(self) -> Floats:
        """Probability of gold label and both answers in a row, (gold, system, reference)."""
        common, first, second = self.tables
        kept, share = 1 - self.anew, self.shared

        def both(system: Floats, reference: Floats) -> Floats:
            return np.einsum("ga,gb->gab", system, reference)

        of_text = share * np.einsum("ga,ab->gab", common, np.eye(self.labels)) + (1 - share) * both(first, second)
        system, reference = (share * common + (1 - share) * own for own in (first, second))
        mixed = both(system, second) + both(first, reference)
        rows = kept**2 * of_text + kept * self.anew * mixed + self.anew**2 * both(first, second)
        return rows * self.priors[:, None, None]

    def truth(self) -> dict[str, float]:
        """The true values of the statistics."""
        joint, gold = self.joint(), np.arange(self.labels)
        table = joint.sum(axis=0)
        by_chance, agreement = float(table.sum(1) @ table.sum(0)), float(np.trace(table))
        wrong = joint.copy()
        wrong[gold, gold, :] = wrong[gold, :, gold] = 0
        return {
            "kappa": (agreement - by_chance) / (1 - by_chance),
            "observed_agreement": agreement,
            "accuracy_difference": float(joint[gold, gold].sum() - joint[gold, :, gold].sum()),
            "overlap": float(np.einsum("gaa->", wrong) / wrong.sum()),
        }

    def with_kappa(self, wanted: float) -> "Planted":
        """The same with the share of common answers that makes a wanted kappa."""
        return replace(self, shared=brentq(lambda share: replace(self, shared=share).truth()["kappa"] - wanted, 0, 1))

    def draw(self, generator: np.random.Generator, count: int) -> Iterator[Paired]:
        """Draw studies."""
        size = (count, self.texts, self.voices)
        clusters = Clusters(np.repeat(np.arange(self.texts), self.voices), self.texts)
        edges = [np.cumsum(table, axis=1)[:, :-1] for table in self.tables]

        def pick(edge: Floats, gold: Codes) -> Codes:
            return (generator.random(gold.shape)[..., None] > edge[gold]).sum(axis=-1)

        gold = generator.choice(self.labels, p=self.priors, size=size[:2])
        common, shared = pick(edges[0], gold), generator.random(size[:2]) < self.shared
        each = np.repeat(gold[..., None], self.voices, axis=-1)
        arms = []
        for edge in edges[1:]:
            of_text = np.where(shared, common, pick(edge, gold))[..., None]
            arms.append(np.where(generator.random(size) < self.anew, pick(edge, each), of_text))
        names = (*map(str, range(self.labels)), "invalid")
        for index in range(count):
            right, system, reference = (codes[index].ravel() for codes in (each, *arms))
            yield Paired(names, system, reference, right, system == right, reference == right, clusters)
