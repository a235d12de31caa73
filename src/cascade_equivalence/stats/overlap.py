"""Conditional error overlap: P(both give the same wrong answer | both are wrong) (paper sections 3.3 and 4.2).

An answer that could not be parsed is wrong but is no answer: two of them never count as the same wrong answer.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.intervals import share
from cascade_equivalence.stats.jackknife import smooth
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Statistic
from cascade_equivalence.vocabulary import BINARY

NONE_WRONG = "no item was answered wrongly by both systems"
ONE_WRONG = "with two labels there is only one wrong answer, so the overlap says nothing"
NOTHING_COMMON = "no wrong answer of the one system is a wrong answer of the other, so chance is 0"


def both_wrong(paired: Paired) -> NDArray[np.bool_]:
    """Rows that both systems got wrong, (rows,)."""
    return ~paired.system_correct & ~paired.reference_correct


def same_wrong(paired: Paired) -> NDArray[np.bool_]:
    """Rows on which both systems gave the same wrong answer, (rows,)."""
    return both_wrong(paired) & (paired.system == paired.reference) & (paired.system != paired.invalid)


def error_overlap(paired: Paired) -> Statistic:
    """Share of the rows both got wrong on which they gave the same wrong answer."""
    return share(paired.clusters, same_wrong(paired), NONE_WRONG, both_wrong(paired))


def with_invalid_pairs(paired: Paired) -> float | None:
    """The overlap if two unparsed answers did count as the same wrong answer; None if nothing was wrong in both."""
    wrong = both_wrong(paired)
    return float(np.mean(paired.system[wrong] == paired.reference[wrong])) if wrong.any() else None


def uniform_chance(labels: Sequence[str]) -> tuple[float | None, str | None]:
    """Overlap of systems that choose evenly among the wrong labels, 1 / (|C| - 1).

    Args:
        labels: The closed label set C; empty for open answers.

    Returns:
        The chance level, or None; and a remark where it is missing or says nothing.
    """
    if not labels:
        return None, "open answers have no fixed set of wrong answers"
    if len(labels) <= BINARY:
        return 1.0, ONE_WRONG
    return 1 / (len(labels) - 1), None


def empirical_chance(paired: Paired) -> tuple[float | None, str | None]:
    """Overlap to expect if the two systems' errors were unrelated, but each system kept its own favourite errors.

    Among the rows both got wrong, the probability that an answer of the one system and an answer of the other, drawn
    independently within one gold label, are the same: the mean over all permutations of the one system's answers within
    gold labels. Open answers have as many gold labels as items and are taken as one stratum.

    Returns:
        The chance level, or None and the reason.
    """
    wrong = both_wrong(paired)
    total = int(wrong.sum())
    if not total:
        return None, NONE_WRONG
    width = len(paired.categories)
    gold = paired.gold[wrong]

    def wrong_answers(codes: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        valid = codes != paired.invalid
        return np.unique(gold[valid] * width + codes[valid], return_counts=True)

    cells, counts = wrong_answers(paired.system[wrong])
    reference_cells, reference_counts = wrong_answers(paired.reference[wrong])
    common, first, second = np.intersect1d(cells, reference_cells, assume_unique=True, return_indices=True)
    rows_of_gold = np.bincount(gold)[common // width]
    return float((counts[first] * reference_counts[second] / rows_of_gold).sum() / total), None


def overlap_ratio(paired: Paired) -> Statistic:
    """Error overlap by its empirical chance: how many times more often than by chance the same wrong answer is given.

    Chance follows the draw: it is computed from the groups as often as they were drawn. Copies of one group are not
    taken as groups that happen to agree, which would raise chance in every draw above its value on the data: of two
    groups every row of the one meets every row of the other, but a group that is drawn w times meets itself w times,
    not w^2 times.

    Each group's answers do meet themselves once in the chance of their gold label, which draws the ratio towards 1, by
    as much as there are few groups a label: it rests on so many, on average over the labels.
    """
    clusters, width = paired.clusters, len(paired.categories)
    wrong = both_wrong(paired)
    golds, gold = np.unique(paired.gold[wrong], return_inverse=True)
    group = clusters.index[wrong]
    answers = [codes[wrong] for codes in (paired.system, paired.reference)]
    own, other = (gold[codes != paired.invalid] * width + codes[codes != paired.invalid] for codes in answers)
    common = np.intersect1d(own, other)  # (cells,): gold label and wrong answer of both systems

    def tally(codes: NDArray[np.intp]) -> sparse.csr_array:
        cells = gold * width + codes
        there = np.isin(cells, common)
        place = group[there], np.searchsorted(common, cells[there])
        return sparse.coo_array((np.ones(len(place[0])), place), shape=(clusters.count, len(common))).tocsr()

    system, reference = map(tally, answers)
    rows = sparse.coo_array((np.ones(len(gold)), (group, gold)), shape=(clusters.count, len(golds))).toarray()
    of_gold = np.equal.outer(common // width, np.arange(len(golds))).astype(np.float64)  # (cells, golds)
    own_matches = np.asarray(system.multiply(reference) @ of_gold)
    same = clusters.totals(same_wrong(paired))

    def of(weights: Floats) -> Floats:
        copies = weights**2 - weights
        matches = ((weights @ system) * (weights @ reference)) @ of_gold - copies @ own_matches
        drawn = weights @ rows
        meetings = drawn**2 - copies @ rows**2
        share = np.divide(matches, meetings, out=np.zeros_like(meetings), where=meetings > 0)
        by_chance = (drawn * share).sum(axis=1)
        return np.divide(weights @ same, by_chance, out=np.full(len(weights), np.nan), where=by_chance > 0)

    # A ratio of two numbers that are above 0 is nearly normal on a logarithmic scale.
    undefined = NOTHING_COMMON if wrong.any() else NONE_WRONG
    rests_on = int(np.count_nonzero(rows)) // max(1, len(golds))
    return smooth(of, clusters.count, undefined, rests_on=rests_on, scale=np.log, back=math.exp)
