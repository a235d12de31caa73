"""How far two lists of attributions to the same words agree, item by item, beside what words' places alone give.

The agreement of an item is Spearman's correlation over its words: which words count more, whatever the scale on which
two readers react. What only its place in the text makes of a word is common to all texts; so each item is held against
another text's words at the same relative places as well. What is given is of the right label, so that what a place is
to one and the same answer turns its sign with the label: those texts are of the item's own label.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from cascade_equivalence.stats.clusters import Floats

FEWEST_WORDS = 4
"""Words below which an item's correlation says nothing: of three, one order in six is the same by chance."""
SHUFFLES = 20


def spearman(one: Floats, other: Floats) -> float:
    """Rank correlation over words (words,) that have both; NaN of fewer than ``FEWEST_WORDS``, or of no variation."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < FEWEST_WORDS or min(np.ptp(one[both]), np.ptp(other[both])) == 0:
        return float("nan")
    return float(spearmanr(one[both], other[both]).statistic)


def agreement(one: Sequence[Floats], other: Sequence[Floats]) -> Floats:
    """Of each item, (items,)."""
    return np.array([spearman(*each) for each in zip(one, other, strict=True)])


def at_shuffled_places(one: Sequence[Floats], other: Sequence[Floats], seed: int) -> Floats:
    """The same with the second list at shuffled places: the mean over draws, (items,)."""
    generator = np.random.default_rng(seed)
    draws = [agreement(one, [generator.permutation(each) for each in other]) for _ in range(SHUFFLES)]
    return np.asarray(np.mean(draws, axis=0))


def at_same_places(
    one: Sequence[Floats], other: Sequence[Floats], groups: Sequence[str], labels: Sequence[str], seed: int
) -> tuple[Floats, int]:
    """The same with the second list of other texts, read off at the words' relative places, (items,).

    Args:
        one: Attributions of each item's words.
        other: The same of another reader.
        groups: The text of each item; none is held against its own.
        labels: The right label of each; it is held against texts of its own label, or of any where there is none.
        seed: Seed of the other texts; each item is held against ``SHUFFLES`` of them at most.

    Returns:
        The mean over the other texts, NaN where there is none; and how many items are held against texts of any label.
    """
    generator, found, of_any = np.random.default_rng(seed), [], 0
    for place, (mine, group) in enumerate(zip(one, groups, strict=True)):
        others = [each for each in generator.permutation(len(one)) if groups[each] != group]
        alike = [each for each in others if labels[each] == labels[place]]
        of_any += bool(others) and not alike
        others = (alike or others)[:SHUFFLES]
        values = [spearman(mine, _stretched(other[each], len(one[place]))) for each in others]
        told = [value for value in values if np.isfinite(value)]
        found.append(np.mean(told) if told else np.nan)
    return np.array(found, dtype=np.float64), of_any


def _stretched(values: Floats, words: int) -> Floats:
    """Numbers of words read off at as many relative places as another text has words."""
    there = values[np.isfinite(values)]
    if not len(there):
        return np.full(words, np.nan)
    return np.asarray(np.interp(np.linspace(0, 1, words), np.linspace(0, 1, len(there)), there))
