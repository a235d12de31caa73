"""Accuracy and parse rate of one system, and the levels that a system reaches without hearing anything."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.clustered import RatioEstimator
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.intervals import paired_difference, share
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.kappa_interval import KappaScore
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate, too_few
from cascade_equivalence.vocabulary import INVALID

NO_ROWS = "there are no rows"
OPEN = "open answers have no label set"


def accuracy(clusters: Clusters, correct: np.ndarray) -> Statistic:
    """Share of right rows; an answer that could not be parsed is wrong."""
    return share(clusters, correct, NO_ROWS)


def accuracy_difference(clusters: Clusters, correct: np.ndarray, baseline: np.ndarray) -> Statistic:
    """Accuracy minus the accuracy of a baseline on the same rows."""
    return paired_difference(clusters, correct, baseline, NO_ROWS)


def parse_rate(clusters: Clusters, parsed: np.ndarray) -> Statistic:
    """Share of rows whose answer could be parsed."""
    return share(clusters, parsed, NO_ROWS)


def accuracy_among_parsed(clusters: Clusters, correct: np.ndarray, parsed: np.ndarray) -> Statistic:
    """Share of right rows among those whose answer could be parsed."""
    return share(clusters, correct, "no answer could be parsed", parsed)


def levels(gold: pl.Series, labels: Sequence[str]) -> dict[str, Any]:
    """What guessing evenly and what a constant answer reach.

    Args:
        gold: Gold label of each row.
        labels: The closed label set; empty for open answers.

    Returns:
        ``chance``: 1 / labels; ``majority``: share of the most frequent gold label; ``reason`` where there are none.
    """
    if not labels:
        return {"chance": None, "majority": None, "reason": OPEN}
    majority = gold.value_counts()["count"].to_numpy().max() / len(gold)
    return {"chance": 1 / len(labels), "majority": float(majority), "reason": None}


def against_chance(parsed: pl.Series, gold: pl.Series, clusters: Clusters, confidence: float) -> dict[str, Any]:
    """Whether a system's answers have anything to do with the gold labels.

    Chance is what the system's own answers would reach if they were given to other items, sum_k p_k(answers) p_k(gold):
    1 / labels where labels are balanced, but more for a system that prefers the commonest label. An accuracy above it
    is a Cohen's kappa of answers and gold above 0, so that is what is tested, with kappa's own interval.

    Args:
        parsed: The system's answer to each row, ``invalid`` included.
        gold: The gold label of each row, from a closed set.
        clusters: The group of each row.
        confidence: Level of the interval.

    Returns:
        ``own_chance``: that level; ``against_chance``: ``above``, ``below``, ``at`` (the interval includes it), or
        ``unknown`` (there are too few groups for an interval).
    """
    names, codes = np.unique(np.concatenate([parsed.to_numpy(), gold.to_numpy()]).astype(str), return_inverse=True)
    answers, right = (each.astype(np.intp) for each in np.split(codes, 2))
    shares = [np.bincount(each, minlength=len(names)) / len(parsed) for each in (answers, right)]
    own_chance = float(shares[0] @ shares[1])
    found = "unknown"
    if own_chance == 1:
        found = "at"  # one answer throughout, and it is always right: that says nothing
    elif not too_few(clusters.count):
        low, high = KappaScore(answers, right, RatioEstimator.of_codes(answers, right, clusters)).limits(confidence)
        found = "above" if low > 0 else "below" if high < 0 else "at"
    return {"own_chance": own_chance, "against_chance": found}


def no_chance() -> dict[str, Any]:
    """What ``against_chance`` is of open answers."""
    return {"own_chance": None, "against_chance": None}


def summarise(
    answers: pl.DataFrame, labels: Sequence[str], *, confidence: float = 0.95, whose: str = "the answers"
) -> dict[str, Any]:
    """Summarise one system's answers to one task in one condition.

    Args:
        answers: The answers, see ``check_answers``.
        labels: The closed label set; empty for open answers.
        confidence: Level of the intervals.
        whose: How messages name the answers.

    Returns:
        ``rows``, ``groups``, ``voices``, ``correct``, ``parsed`` (counts), ``accuracy``, ``parse_rate``,
        ``accuracy_among_parsed`` (each an ``Estimate`` as a dict), ``levels``, ``own_chance`` and ``against_chance``.

    Raises:
        StudyError: The answers do not pass ``check_answers``.
    """
    table = check_answers(answers, labels, whose)
    clusters = Clusters.of(table["group"].to_list())
    correct, parsed = table["correct"].to_numpy(), (table["parsed"] != INVALID).to_numpy()
    found = estimate(
        {
            "accuracy": accuracy(clusters, correct),
            "parse_rate": parse_rate(clusters, parsed),
            "accuracy_among_parsed": accuracy_among_parsed(clusters, correct, parsed),
        },
        clusters.count,
        confidence,
    )
    return {
        "rows": table.height,
        "groups": clusters.count,
        "voices": table["voice"].n_unique(),
        "correct": int(correct.sum()),
        "parsed": int(parsed.sum()),
        **{name: asdict(value) for name, value in found.items()},
        "levels": levels(table["label"], labels),
        **(against_chance(table["parsed"], table["label"], clusters, confidence) if labels else no_chance()),
    }


def change(answers: pl.DataFrame, baseline: pl.DataFrame, *, confidence: float = 0.95) -> Estimate:
    """Change of one system's accuracy between two conditions, on the same clips.

    Args:
        answers: Answers in the one condition, such as noise.
        baseline: Answers in the other, such as clean, for exactly the same (id, voice).
        confidence: Level of the interval.

    Returns:
        Accuracy minus baseline accuracy.

    Raises:
        StudyError: The two tables do not hold the same clips.
    """
    joined = join_pair(answers, baseline)
    clusters = Clusters.of(joined["group"].to_list())
    difference = accuracy_difference(
        clusters, joined["system_correct"].to_numpy(), joined["reference_correct"].to_numpy()
    )
    return estimate({"change": difference}, clusters.count, confidence)["change"]
