"""How alike a model's states are of one thing heard and read: of whole texts (CKA), and word by word.

Of texts: linear centred kernel alignment (Kornblith et al. 2019, arXiv:1905.00414) of the mean states of each with the
unbiased estimator of HSIC (Song et al. 2012; Nguyen et al. 2021, arXiv:2010.15327): 1 where one set of states is the
other turned and scaled, about 0 where they have nothing in common, however few items there are. Readings of one text
are alike on both sides whatever is heard: they count once, by their mean, and are exchanged and left out together.

Of words: the mean of the states at which a word is heard against the mean of its tokens' states where it is read, as a
cosine. Which states are a word's follows from the layer itself: the path through vectors of sound and words, both from
left to right, along which they are most alike (dynamic time warping). The words of another item are aligned in the same
way, so that chance is as free. Open this to change what is compared, ``read_words`` to change what is read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_equivalence.mechanism.said import exchanges, pairings, text_numbers
from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.jackknife import smooth
from cascade_equivalence.stats.mean import ratio
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate

FEWEST = 4
"""Texts below which the unbiased estimator does not exist."""
TOO_FEW = f"fewer than {FEWEST} texts"
NO_WORDS = "no utterance has a word"
VIEWS = ("as_they_are", "centred", "matched")
"""What is taken away before cosines: the mean that heard and read states share; of each its own mean; or that, and
every direction of the heard states brought to the spread that the read ones have."""


@dataclass(frozen=True)
class Taken:
    """One utterance at one layer.

    Attributes:
        item: Name of what it says: readings of one text have one name.
        heard: States where the sound stands, (vectors, width).
        read: Mean state of each word's tokens where it is read, (words, width).
        tokens: Tokens of each word, (words,).
    """

    item: str
    heard: Floats
    read: Floats
    tokens: Floats


def centred_gram(states: Floats) -> Floats:
    """Gram matrix (items, items) of states (items, width), centred so that sums of products are unbiased."""
    apart = states - states.mean(axis=0)
    gram = apart @ apart.T
    np.fill_diagonal(gram, 0)
    return _centred(gram)


def _centred(gram: Floats) -> Floats:
    count = len(gram)
    sums = gram.sum(axis=0) / (count - 2)
    found: Floats = gram - sums - sums[:, None] + sums.sum() / (count - 1)
    np.fill_diagonal(found, 0)
    return found


def debiased_cka(one: Floats, other: Floats) -> float:
    """Linear CKA of two sets of states (items, width), which may have different widths; NaN where one does not vary.

    Args:
        one: States of some items, at least ``FEWEST``.
        other: States of the same items.
    """
    return _alignment(centred_gram(one), centred_gram(other))


def _alignment(one: Floats, other: Floats) -> float:
    scale = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / scale if scale else float("nan")


def cka_statistic(one: Floats, other: Floats) -> Statistic:
    """CKA of the items that count, with the interval of the jackknife over them."""
    if len(one) < FEWEST:
        return Statistic(lambda weights: np.full(len(weights), np.nan), TOO_FEW)
    grams = [centred_gram(one), centred_gram(other)]

    def of(weights: Floats) -> Floats:
        found = []
        for row in weights:
            kept = np.flatnonzero(row)
            # What was centred over all items is centred again over those that are left.
            parts = [_centred(gram[np.ix_(kept, kept)]) for gram in grams] if len(kept) >= FEWEST else None
            found.append(_alignment(*parts) if parts else np.nan)
        return np.array(found)

    return smooth(of, len(one), "the states do not vary", rests_on=len(one))


def word_spans(similarity: Floats) -> list[slice]:
    """Which vectors are each word's: the monotone path with the least sum of 1 - similarity (dynamic time warping).

    Args:
        similarity: (words, vectors), neither 0.

    Returns:
        A stretch of at least one vector for each word, from the first to the last; neighbours may share one.
    """
    words, vectors = similarity.shape
    cost = np.full((words + 1, vectors + 1), np.inf)
    cost[0, 0] = 0
    steps = 1 - similarity
    for total in range(2, words + vectors + 1):
        # All cells of a diagonal at once: they wait for the two before it.
        row = np.arange(max(1, total - vectors), min(words, total - 1) + 1)
        column = total - row
        before = np.minimum(np.minimum(cost[row - 1, column], cost[row, column - 1]), cost[row - 1, column - 1])
        cost[row, column] = steps[row - 1, column - 1] + before
    first, last = np.full(words, vectors), np.zeros(words, dtype=int)
    row, column = words, vectors
    while row:
        first[row - 1], last[row - 1] = min(first[row - 1], column - 1), max(last[row - 1], column - 1)
        ways = ((row - 1, column - 1), (row - 1, column), (row, column - 1))
        row, column = min(ways, key=lambda place: cost[place])
    return [slice(int(start), int(stop) + 1) for start, stop in zip(first, last, strict=True)]


def alike(heard: Floats, read: Floats) -> Floats:
    """Cosine (words,) of each word's state with the mean of the vectors that are aligned with it.

    Args:
        heard: (vectors, width), at least one.
        read: (words, width).
    """
    if not len(read):
        return np.zeros(0)
    spans = word_spans(_unit(read) @ _unit(heard).T)
    means = np.stack([heard[span].mean(axis=0) for span in spans])
    found: Floats = (_unit(means) * _unit(read)).sum(axis=1)
    return found


def _unit(rows: Floats) -> Floats:
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0)


def views(taken: Sequence[Taken]) -> dict[str, Callable[[Floats, bool], Floats]]:
    """By name, what makes states (rows, width), heard or not, into what cosines are taken of; see ``VIEWS``."""
    heard, read = (np.concatenate([getattr(each, name) for each in taken]) for name in ("heard", "read"))
    own = {True: heard.mean(axis=0), False: read.mean(axis=0)}
    both = np.concatenate([heard, read]).mean(axis=0)
    spread = heard.std(axis=0)
    scale = np.divide(read.std(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
    return {
        "as_they_are": lambda states, _: states - both,
        "centred": lambda states, sound: states - own[sound],
        "matched": lambda states, sound: (states - own[sound]) * (scale if sound else 1),
    }


def compare_layer(taken: Sequence[Taken], shuffles: int, seed: int, confidence: float) -> dict[str, Estimate]:
    """How alike what is heard is to what is read, at one layer.

    Args:
        taken: The utterances; those without a sound or a word say nothing.
        shuffles: Pairings with the words of other texts, for chance.
        seed: Their seed.
        confidence: Level of the intervals, which count texts (jackknife).

    Returns:
        ``cka``; ``cka_shuffled``, its mean over pairings; of each view the mean cosine of words by its name, the same
        with the words of other texts (``_chance``), and by how much it is more (``_difference``).
    """
    taken = [each for each in taken if len(each.heard) and len(each.read)]
    if not taken:
        return {"cka": Estimate(None, None, None, NO_WORDS)}
    numbers = text_numbers([each.item for each in taken])
    partners = exchanges(numbers, shuffles, seed)
    statistics: dict[str, Statistic] = {}
    means = [
        _means([each.heard.mean(axis=0) for each in taken], numbers),
        _means([np.average(each.read, axis=0, weights=each.tokens) for each in taken], numbers),
    ]
    statistics["cka"] = cka_statistic(*means)
    texts = len(means[0])
    others = pairings(texts, shuffles, seed) if texts >= FEWEST else []
    shuffled = [debiased_cka(means[0], means[1][other]) for other in others]
    clusters = Clusters.of([each.item for each in taken])
    words = np.array([len(each.read) for each in taken], dtype=float)
    for name, view in views(taken).items():
        heard, read = [view(each.heard, True) for each in taken], [view(each.read, False) for each in taken]
        own = np.array([alike(*pair).sum() for pair in zip(heard, read, strict=True)])
        # Of another item's words as many count as of its own, whatever their number.
        by_chance = [
            [alike(heard[place], read[other]).mean() for place, other in enumerate(each.tolist())] for each in partners
        ]
        chance = np.mean(by_chance, axis=0) * words
        parts = {name: own, f"{name}_chance": chance, f"{name}_difference": own - chance}
        statistics |= {key: ratio(clusters, values, words, NO_WORDS) for key, values in parts.items()}
    found = estimate(statistics, clusters.count, confidence)
    return found | {"cka_shuffled": Estimate(float(np.mean(shuffled)) if shuffled else None, None, None, None)}


def _means(rows: Sequence[Floats], numbers: np.ndarray) -> Floats:
    """Mean (texts, width) of the readings of each text, each of which counts once."""
    states = np.stack(rows)
    return np.stack([states[numbers == number].mean(axis=0) for number in range(int(numbers.max()) + 1)])


def shares(
    hits: Sequence[float], by_chance: Sequence[float], rows: Sequence[int], items: Sequence[str], confidence: float
) -> Mapping[str, Estimate]:
    """Share of vectors whose nearest token was spoken, and by how much more than by chance.

    Args:
        hits: Vectors of each utterance whose nearest token is among its own.
        by_chance: The same, on average, among those of other utterances.
        rows: Vectors of each utterance.
        items: Name of what it says, which intervals count.
        confidence: Level of the intervals.
    """
    clusters = Clusters.of(items)
    own, chance, total = (np.asarray(each, dtype=float) for each in (hits, by_chance, rows))
    parts = {"nearest": own, "nearest_chance": chance, "nearest_difference": own - chance}
    return estimate(
        {name: ratio(clusters, each, total, "no sound is heard") for name, each in parts.items()},
        clusters.count,
        confidence,
    )
