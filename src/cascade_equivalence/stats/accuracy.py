"""Accuracy and parse rate of one system, and the levels a system reaches without hearing anything."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.stats.answers import INVALID, check_answers
from cascade_equivalence.stats.bootstrap import Clusters, Estimate, Statistic, estimate, ratio
from cascade_equivalence.stats.join import join_pair

NO_ROWS = "there are no rows"
OPEN = "open answers have no label set"


def accuracy(clusters: Clusters, correct: np.ndarray) -> Statistic:
    """Share of right rows; an answer that could not be parsed is wrong."""
    return ratio(clusters.totals(correct), clusters.totals(np.ones(len(correct))), NO_ROWS)


def accuracy_difference(clusters: Clusters, correct: np.ndarray, baseline: np.ndarray) -> Statistic:
    """Accuracy minus the accuracy of a baseline on the same rows."""
    gain = clusters.totals(correct) - clusters.totals(baseline)
    return ratio(gain, clusters.totals(np.ones(len(correct))), NO_ROWS)


def parse_rate(clusters: Clusters, parsed: np.ndarray) -> Statistic:
    """Share of rows whose answer could be parsed."""
    return ratio(clusters.totals(parsed), clusters.totals(np.ones(len(parsed))), NO_ROWS)


def accuracy_among_parsed(clusters: Clusters, correct: np.ndarray, parsed: np.ndarray) -> Statistic:
    """Share of right rows among those whose answer could be parsed."""
    return ratio(clusters.totals(correct & parsed), clusters.totals(parsed), "no answer could be parsed")


def levels(gold: pl.Series, labels: Sequence[str]) -> dict[str, Any]:
    """What guessing and what a constant answer reach.

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


def against_chance(found: Estimate, chance: float | None) -> str | None:
    """Where an accuracy lies: ``above`` or ``below`` chance, or ``at`` it (the interval includes chance)."""
    if chance is None or found.low is None or found.high is None:
        return None
    if found.low > chance:
        return "above"
    return "below" if found.high < chance else "at"


def summarise(
    answers: pl.DataFrame,
    labels: Sequence[str],
    *,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    whose: str = "the answers",
) -> dict[str, Any]:
    """Summarise one system's answers to one task in one condition.

    Args:
        answers: Answers table, one row a clip.
        labels: The closed label set; empty for open answers.
        draws: Bootstrap draws.
        confidence: Level of the intervals.
        seed: Seed of the draws.
        whose: How messages name the answers.

    Returns:
        ``rows``, ``groups``, ``voices``, ``correct``, ``parsed`` (counts), ``accuracy``, ``parse_rate``,
        ``accuracy_among_parsed`` (each an ``Estimate`` as a dict), ``levels`` and ``against_chance``.

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
        draws=draws,
        confidence=confidence,
        seed=seed,
    )
    level = levels(table["label"], labels)
    return {
        "rows": table.height,
        "groups": clusters.count,
        "voices": table["voice"].n_unique(),
        "correct": int(correct.sum()),
        "parsed": int(parsed.sum()),
        **{name: asdict(value) for name, value in found.items()},
        "levels": level,
        "against_chance": against_chance(found["accuracy"], level["chance"]),
    }


def change(
    answers: pl.DataFrame,
    baseline: pl.DataFrame,
    *,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Change of one system's accuracy between two conditions, on the same clips.

    Args:
        answers: Answers in the one condition, such as noise.
        baseline: Answers in the other, such as clean, for exactly the same (id, voice).
        draws: Bootstrap draws.
        confidence: Level of the interval.
        seed: Seed of the draws.

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
    found = estimate({"change": difference}, clusters.count, draws=draws, confidence=confidence, seed=seed)
    return found["change"]
