"""Statistics of a pair of systems, by name: each lands under its name in what an agreement node finds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade_equivalence.registry import Registry

if TYPE_CHECKING:
    import polars as pl

    from cascade_equivalence.stats.paired import Paired
    from cascade_equivalence.stats.statistic import Estimate


@dataclass(frozen=True)
class Pair:
    """Two systems' answers to the same clips of one task in one condition.

    Attributes:
        answers: Both systems' answers, a row a clip, see ``join_pair``.
        paired: The same as codes.
        labels: The closed label set; empty for open answers.
        heard: Transcripts that the pair's cascade reads (id, voice, word_errors); None if neither reads any.
        estimates: What was estimated of the pair: ``kappa``, ``accuracy_difference`` and the like, with intervals.
    """

    answers: "pl.DataFrame"
    paired: "Paired"
    labels: Sequence[str]
    heard: "pl.DataFrame | None"
    estimates: "Mapping[str, Estimate]"


@dataclass(frozen=True)
class Settings:
    """What a study sets for its statistics.

    Attributes:
        accuracy_margin: Largest difference of accuracies that is taken as none, as a share.
        kappa_bound: Smallest kappa that is taken as the same answers.
        draws: Permutations, and draws of rows as the paper draws them.
        confidence: Level of the intervals; tests are at 1 minus it.
        seed: Seed of the draws; each statistic draws by itself.
    """

    accuracy_margin: float
    kappa_bound: float
    draws: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class PairStatistic:
    """A statistic of a pair of systems.

    Attributes:
        name: What the names of its numbers begin with in the file of an agreement node.
        compute: The statistic, see ``numbers``: numbers that are finite, text, None, lists and mappings of them.
    """

    name: str
    compute: Callable[[Pair, Settings], dict[str, Any]]


PAIR_STATISTICS: Registry[PairStatistic] = Registry("pair statistic", home="cascade_equivalence.stats.pair_statistics")
