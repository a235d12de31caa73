"""What erasing a concept does to one model's answers to one task, against the same model with nothing erased.

Everything is paired: an erased answer stands beside the unerased answer to the same item, and an interval counts whole
groups of items once for both. Draws of a random control give a null distribution of their own; it has a p-value as a
permutation test has (Davison & Hinkley 1997, eq. 4.11): (r + 1) / (n + 1), r of n draws doing as much.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cascade_equivalence.stats.accuracy import NO_ROWS, OPEN, accuracy, accuracy_among_parsed, parse_rate
from cascade_equivalence.stats.answers import COLUMNS, KEY, check_answers
from cascade_equivalence.stats.clusters import Bools, Clusters, Floats
from cascade_equivalence.stats.intervals import difference, paired_difference, share
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.mean import mean, numbers
from cascade_equivalence.stats.statistic import Statistic
from cascade_equivalence.vocabulary import INVALID

NO_KL = "no divergence is a finite number"
ALL_SEEN = "the erasers were fitted on every item"
NO_LOSS = "open answers have no label whose likelihood could be taken"
ACCURACY, FORCED, LOSS = "accuracy", "forced_accuracy", "loss"


@dataclass(frozen=True, eq=False)
class ErasedAnswers:
    """Answers under one condition, in the order of the baseline's items.

    Attributes:
        answers: The free answers, (rows,).
        correct: Whether the free answer is right, (rows,).
        parsed: Whether it could be parsed, (rows,).
        forced: Whether the likeliest label is right, (rows,), NaN where there is none; NaN throughout for open answers.
        seen: Whether the erasers were fitted on the item, too, (rows,).
        kl: Divergence from the unerased model in nats, (rows,), NaN where there is none; infinite values count as none.
        loss: Negative log-likelihood of the right label, in nats, (rows,), NaN where there is none.
    """

    answers: pl.Series
    correct: NDArray[np.bool_]
    parsed: NDArray[np.bool_]
    forced: Floats
    seen: NDArray[np.bool_]
    kl: Floats
    loss: Floats

    def measured(self, measure: str) -> Floats:
        """One value a row, NaN where there is none: ``accuracy`` or ``forced_accuracy``."""
        return self.forced if measure == FORCED else self.correct.astype(np.float64)


@dataclass(frozen=True)
class Null:
    """A value among the draws of a random control.

    Attributes:
        draws: Number of draws.
        mean: Their mean.
        lowest: The lowest of them.
        highest: The highest of them.
        at_or_below: Draws at or below the value.
        p: (at_or_below + 1) / (draws + 1).
    """

    draws: int
    mean: float
    lowest: float
    highest: float
    at_or_below: int
    p: float


def among(value: float, draws: Sequence[float]) -> Null:
    """Place a value among draws of a random control.

    Args:
        value: What a concept's erasure leaves, such as an accuracy.
        draws: What the control's draws leave, one at least.

    Returns:
        The draws' spread, and how often they go as low.
    """
    as_low = sum(draw <= value for draw in draws)
    # A mean in floating point can lie a rounding error outside its terms.
    mean = min(max(float(np.mean(draws)), min(draws)), max(draws))
    return Null(len(draws), mean, min(draws), max(draws), as_low, (as_low + 1) / (len(draws) + 1))


def align(answers: pl.DataFrame, baseline: pl.DataFrame, labels: Sequence[str], whose: str) -> ErasedAnswers:
    """Bring erased answers into the order of the baseline's items, sorted by (id, voice).

    Args:
        answers: One row an item: the columns of an answers table, ``forced_correct``, ``kl`` and ``seen``.
        baseline: The same with nothing erased.
        labels: The closed label set; empty for open answers.
        whose: How messages name the answers.

    Returns:
        The answers as arrays.

    Raises:
        StudyError: A table does not pass ``check_answers``, or the two do not hold the same items.
    """
    checked = check_answers(answers, labels, whose)
    join_pair(checked, baseline.select(COLUMNS), "the same model with nothing erased")
    table = answers.sort(KEY)
    return ErasedAnswers(
        table["parsed"],
        table["correct"].to_numpy(),
        (table["parsed"] != INVALID).to_numpy(),
        numbers(table["forced_correct"]),
        table["seen"].to_numpy(),
        numbers(table["kl"]),
        numbers(table["loss"]) if "loss" in table.columns else np.full(table.height, np.nan),
    )


def measures(clusters: Clusters, erased: ErasedAnswers) -> dict[str, Statistic]:
    """Accuracy, parse rate, accuracy among parsed answers, by forced choice on unseen items; divergence, loss."""
    return {
        ACCURACY: accuracy(clusters, erased.correct),
        "parse_rate": parse_rate(clusters, erased.parsed),
        "accuracy_among_parsed": accuracy_among_parsed(clusters, erased.correct, erased.parsed),
        FORCED: _share(clusters, erased.forced, OPEN),
        "kl": mean(clusters, erased.kl, NO_KL),
        LOSS: mean(clusters, erased.loss, NO_LOSS),
        "unseen_accuracy": share(clusters, erased.correct, ALL_SEEN, ~erased.seen),
    }


def changes(clusters: Clusters, erased: ErasedAnswers, baseline: ErasedAnswers) -> dict[str, Statistic]:
    """Accuracy (also by forced choice and on unseen items), parse rate and loss minus the baseline's, item by item."""
    right = erased.correct, baseline.correct
    return {
        "accuracy_change": paired_difference(clusters, *right, NO_ROWS),
        "unseen_accuracy_change": paired_difference(clusters, *right, ALL_SEEN, ~erased.seen),
        "parse_rate_change": paired_difference(clusters, erased.parsed, baseline.parsed, NO_ROWS),
        "forced_accuracy_change": change(clusters, erased, baseline, FORCED),
        "loss_change": mean(clusters, erased.loss - baseline.loss, NO_LOSS),
    }


def change(clusters: Clusters, erased: ErasedAnswers, baseline: ErasedAnswers, measure: str) -> Statistic:
    """A measure minus the baseline's, item by item, over the items that have both."""
    one, other = erased.measured(measure), baseline.measured(measure)
    return paired_difference(clusters, one == 1, other == 1, OPEN, _there(one, other))


def against_draws(clusters: Clusters, erased: ErasedAnswers, draws: Sequence[ErasedAnswers], measure: str) -> Statistic:
    """A measure minus its mean over the draws of a control, item by item."""
    own, values = erased.measured(measure), np.mean([draw.measured(measure) for draw in draws], axis=0)
    both = _there(own, values)
    first, second = (share(clusters, each, OPEN, both) for each in (own, values))
    return difference(first, second, clusters.count, OPEN)


def against_reading(
    clusters: Clusters,
    hearing: ErasedAnswers,
    heard: ErasedAnswers,
    reading: ErasedAnswers,
    read: ErasedAnswers,
    measure: str,
) -> Statistic:
    """Change of a measure while the model hears, minus its change while it reads, item by item.

    Args:
        clusters: The group of each item.
        hearing: Erased, from audio.
        heard: The baseline from audio.
        reading: The same erasure, from the true text.
        read: The baseline from the true text.
        measure: ``accuracy`` or ``forced_accuracy``.
    """
    one, other = change(clusters, hearing, heard, measure), change(clusters, reading, read, measure)
    return difference(one, other, clusters.count, OPEN)


def _share(clusters: Clusters, values: Floats, undefined: str) -> Statistic:
    return share(clusters, values, undefined, _there(values))


def _there(*values: Floats) -> Bools:
    """Rows that have all values."""
    return np.isfinite(np.sum(values, axis=0))
