"""Made-up studies with all that real ones have: hard texts, voices alike, uneven labels, answers that cannot be parsed.

A system's answer to a clip is the label with the largest utility, a sum of: a signal for the right label and how easy
the text is for everybody; labels that a text suggests to everybody; what the backbone makes of the text, shared by the
systems that have it; the system's own view of the text; the clip, for everybody; and chance. Some texts are more likely
than others to get an answer that cannot be parsed. True values come from one study of very many texts.
"""

from dataclasses import dataclass, replace

import numpy as np

from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.paired import Paired

TEXTS_OF_TRUTH = 400_000
AT_ONCE = 20_000


@dataclass(frozen=True)
class Latent:
    """A speech LLM, a reference with its backbone, and one with another (or, for a null, with the same).

    Attributes:
        name: Short name.
        shares: Share of each gold label.
        signal: Signal of the right label, for each of the three.
        easy: Standard deviation of how easy a text is.
        suggested: Of what a text suggests to everybody.
        backbone: Of what a backbone makes of a text.
        own: Of a system's own view of a text.
        clip: Of a clip, for everybody, and of chance.
        unparsed: Log-odds of an answer that cannot be parsed.
        voices: Voices a text.
        null: Whether all three have one backbone, so that the contrast is 0.
    """

    name: str
    shares: tuple[float, ...]
    signal: tuple[float, float, float]
    easy: float = 1.0
    suggested: float = 0.5
    backbone: float = 0.9
    own: float = 0.35
    clip: float = 0.13
    unparsed: float = -4.0
    voices: int = 6
    null: bool = False

    def draw(self, generator: np.random.Generator, texts: int) -> list[Paired]:
        """One study: the speech LLM beside the first reference, and beside the second."""
        labels, shape = len(self.shares), (texts, self.voices, len(self.shares))
        gold = generator.choice(labels, size=texts, p=self.shares)
        right = np.eye(labels)[gold]
        shared = right * generator.normal(0, self.easy, (texts, 1)) + generator.normal(
            0, self.suggested, (texts, labels)
        )
        shared += 0.3 * np.log(self.shares)
        backbones = generator.normal(0, self.backbone, (2, texts, labels))
        of_clip = generator.normal(0, self.clip, shape)
        answers = []
        for place, signal in enumerate(self.signal):
            mind = backbones[int(place == len(self.signal) - 1 and not self.null)]
            utility = shared + signal * right + mind + generator.normal(0, self.own, (texts, labels))
            chosen = (utility[:, None] + of_clip + generator.normal(0, self.clip, shape)).argmax(axis=-1)
            odds = self.unparsed + generator.normal(0, 1.5, (texts, 1))
            lost = generator.random(shape[:2]) < 1 / (1 + np.exp(-odds))
            answers.append(np.where(lost, labels, chosen).ravel())
        clusters = Clusters(np.repeat(np.arange(texts), self.voices), texts)
        names = (*map(str, range(labels)), "invalid")
        gold = np.repeat(gold, self.voices)
        system, *references = answers
        return [Paired(names, system, each, gold, system == gold, each == gold, clusters) for each in references]

    def with_voices(self, voices: int) -> "Latent":
        """The same with another number of voices."""
        return replace(self, voices=voices)


SCENARIOS = [
    Latent("4 labels", (0.4, 0.3, 0.2, 0.1), (2.2, 2.2, 2.0), suggested=0.6),
    Latent("2 labels", (0.7, 0.3), (1.6, 1.7, 1.6), own=0.5, unparsed=-4.5),
    Latent(
        "7 labels", (0.48, 0.15, 0.13, 0.11, 0.08, 0.03, 0.02), (1.2, 1.2, 1.0), backbone=0.8, own=0.4, unparsed=-3.5
    ),
    Latent("nearly alike", (0.4, 0.3, 0.2, 0.1), (3.3, 3.3, 3.2), easy=0.7, own=0.18, clip=0.06, unparsed=-6.0),
    Latent("no contrast", (0.4, 0.3, 0.2, 0.1), (2.2, 2.2, 2.2), suggested=0.6, null=True),
]


def table(pairs: list[Paired]) -> list[Floats]:
    """Counts by gold label and both answers, (labels, K, K), of each pair."""
    made = []
    for pair in pairs:
        width = len(pair.categories)
        counts = np.zeros((width - 1, width, width))
        np.add.at(counts, (pair.gold, pair.system, pair.reference), 1)
        made.append(counts)
    return made


def truth_tables(latent: Latent, texts: int = TEXTS_OF_TRUTH) -> list[Floats]:
    """Tables of very many texts, as probabilities."""
    generator = np.random.default_rng(99)
    total = np.sum([table(latent.draw(generator, AT_ONCE)) for _ in range(texts // AT_ONCE)], axis=0)
    return [each / each.sum() for each in total]
