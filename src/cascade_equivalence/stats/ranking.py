"""Which of two systems is better, on clean speech and in noise, and where the order turns (paper section 4.4).

All differences are paired: the same clips in every condition. The clean baseline holds only the voices that are heard
in noise; others would shift it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.conditions import RATIO, Scale
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.accuracy import NO_ROWS, accuracy_difference
from cascade_equivalence.stats.answers import KEY, check_answers, some_keys
from cascade_equivalence.stats.bootstrap import ALL_ALIKE, draw_weights
from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.intervals import difference
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.statistic import Estimate, estimate, too_few

Answers = Mapping[float | None, pl.DataFrame]
"""Answers by the level of one kind of noise, such as a signal-to-noise ratio in dB; None for clean speech."""

SHOWN, APPARENT, NOT_REVERSED = "shown", "apparent", "no"
TIED = "on clean speech the two are right equally often, so there is no order to turn"
KEPT = "no noise turns the order"


def ranking(
    system: Answers,
    reference: Answers,
    labels: Sequence[str],
    *,
    scale: Scale = RATIO,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two systems' accuracies on clean speech and in each noise of one kind.

    Args:
        system: Answers of the system under study, with those to clean speech of the voices that are heard in noise.
        reference: Answers of the other, to the same clips in the same conditions.
        labels: The closed label set; empty for open answers.
        scale: What the levels are counted in, and whether higher ones are harder to hear.
        draws: Bootstrap draws of the crossover, which has no other interval.
        confidence: Level of the intervals.
        seed: Seed of the draws.

    Returns:
        As JSON holds it; estimates are ``{value, low, high, reason}``:

        - ``rows`` and ``groups`` of one condition, ``bootstrap`` {draws, confidence, seed}
        - ``conditions``, clean first and then from the mildest level on, each with ``level`` (None for clean),
          ``difference`` (accuracy of the system minus the reference's, an estimate), ``change`` (of this difference
          from the clean one, an estimate; None for clean), and ``reversed``: ``no``, ``apparent`` (the signs on clean
          speech and here are opposite) or ``shown`` (both intervals exclude 0, on opposite sides); None for clean
        - ``crossover``: see :func:`crossover`

    Raises:
        StudyError: There is no clean speech or no noise, the systems were heard in different conditions, a table does
            not pass ``check_answers``, or the clips are not the same everywhere.
    """
    levels = _levels(system, reference, scale)
    correct, clusters = _right(system, reference, levels, labels, scale)
    gaps = {level: accuracy_difference(clusters, *correct[level]) for level in levels}
    statistics = {f"difference {level}": gap for level, gap in gaps.items()}
    statistics |= {
        f"change {level}": difference(gaps[level], gaps[None], clusters.count, NO_ROWS) for level in levels[1:]
    }
    found = estimate(statistics, clusters.count, confidence)
    clean = found["difference None"]
    rows = len(correct[None][0])
    return {
        "rows": rows,
        "groups": clusters.count,
        "bootstrap": {"draws": draws, "confidence": confidence, "seed": seed},
        "conditions": [
            {
                "level": level,
                "difference": asdict(found[f"difference {level}"]),
                "change": None if level is None else asdict(found[f"change {level}"]),
                "reversed": None if level is None else reversal(clean, found[f"difference {level}"]),
            }
            for level in levels
        ],
        "crossover": crossover(
            # Whole numbers: a difference of exactly 0 is no rounding error.
            np.stack([clusters.totals(one) - clusters.totals(other) for one, other in correct.values()], axis=1),
            [level for level in levels if level is not None],
            scale=scale,
            draws=draws,
            confidence=confidence,
            seed=seed,
        ),
    }


def reversal(clean: Estimate, noisy: Estimate) -> str:
    """Whether the order of two systems turns between two differences of their accuracies.

    Returns:
        ``shown`` if both intervals exclude 0 on opposite sides, ``apparent`` if only the values lie there, else ``no``.
        As both intervals must exclude 0, ``shown`` is no more often wrong than one of them.
    """
    assert clean.value is not None and noisy.value is not None
    if clean.value * noisy.value >= 0:
        return NOT_REVERSED
    if None in (clean.low, clean.high, noisy.low, noisy.high):
        return APPARENT
    assert clean.low is not None and clean.high is not None and noisy.low is not None and noisy.high is not None
    falls, rises = clean.low > 0 > noisy.high, clean.high < 0 < noisy.low
    return SHOWN if falls or rises else APPARENT


def crossover(
    gains: Floats, levels: Sequence[float], *, scale: Scale = RATIO, draws: int, confidence: float, seed: int
) -> dict[str, Any]:
    """Find the level of noise at which the order of two systems first turns, on the way from clean speech.

    Between neighbouring levels the difference is taken to be a line over dB or ms. Clean speech lies beyond all levels
    and has none: a crossing between it and the mildest level is only known to be milder (above the highest ratio, below
    the shortest reverberation time), so it is censored there.

    Args:
        gains: Rows only the system got right minus rows only the reference did, in each group, (groups, 1 + levels);
            clean first.
        levels: Levels from the mildest on: ratios in dB, falling, or reverberation times in ms, rising.
        scale: What they are counted in.
        draws: Bootstrap draws.
        confidence: Level of the interval.
        seed: Seed of the draws.

    Returns:
        - ``value``, ``low``, ``high`` in the unit, and for each ``<name>_censored``: true where it stands for "milder
          than". The interval is that of the draws that have a crossing.
        - ``share``: draws that have one
        - ``reason`` why something is missing

        Value, interval and share are None where there is none; the share, too, where groups are too few.
    """
    groups = len(gains)
    # As mildness, larger for what is heard more easily: ratios are, and reverberation times are turned.
    sign = -1.0 if scale.rising else 1.0
    milds = [sign * level for level in levels]
    value = float(_crossings(gains.sum(axis=0)[None], milds)[0])
    drawn = np.concatenate([_crossings(weights @ gains, milds) for weights in draw_weights(groups, draws, seed)])
    crossed = drawn[~np.isnan(drawn)]
    low = high = np.nan
    reason = None
    if np.isnan(value):
        reason = TIED if gains[:, 0].sum() == 0 else KEPT
    elif few := too_few(groups):
        reason = few
    elif not len(crossed):
        reason = "no interval: no draw has a crossing"
    else:
        tail = (1 - confidence) / 2
        # Order statistics, as nothing lies between a level and one that is only known to be milder.
        low, high = np.quantile(crossed, [tail, 1 - tail], method="inverted_cdf")[:: int(sign)]
        if low == high:
            low, high, reason = np.nan, np.nan, ALL_ALIKE
    return {
        **_censored("value", value, milds[0], sign),
        **_censored("low", low, milds[0], sign),
        **_censored("high", high, milds[0], sign),
        "share": None if too_few(groups) else len(crossed) / draws,
        "reason": reason,
    }


def _censored(name: str, found: float, mildest: float, sign: float) -> dict[str, float | bool | None]:
    """A crossing as JSON holds it: one that is milder than the mildest level stands there, marked."""
    if np.isnan(found):
        return {name: None, f"{name}_censored": None}
    return {name: sign * float(min(found, mildest)), f"{name}_censored": bool(np.isinf(found))}


def _crossings(sums: Floats, levels: Sequence[float]) -> Floats:
    """First crossing of each curve (curves, 1 + levels): infinite above the first level, NaN for none."""
    turned = sums[:, 1:] * np.sign(sums[:, :1]) < 0
    after = turned.argmax(axis=1)
    at = np.array([np.nan, *levels])
    rows = np.arange(len(sums))
    before_gap, after_gap = sums[rows, after], sums[rows, after + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = before_gap / (before_gap - after_gap)
        found = at[after] + (at[after + 1] - at[after]) * share
    return np.where(turned.any(axis=1), np.where(after == 0, np.inf, found), np.nan)


def _levels(system: Answers, reference: Answers, scale: Scale) -> list[float | None]:
    """Clean speech and the levels, from the mildest on."""
    if set(system) != set(reference):
        raise StudyError("the two systems were not heard in the same noise; run both in all conditions")
    if None not in system:
        raise StudyError("there are no answers to clean speech, which noise could change")
    if len(system) == 1:
        raise StudyError("there are no answers in noise, only to clean speech")
    return [None, *sorted((level for level in system if level is not None), reverse=not scale.rising)]


def _right(
    system: Answers, reference: Answers, levels: Sequence[float | None], labels: Sequence[str], scale: Scale
) -> tuple[dict[float | None, tuple[np.ndarray, np.ndarray]], Clusters]:
    """Which clips both systems got right in each condition, in one order of the clips; and the clips' groups."""
    joined: dict[float | None, pl.DataFrame] = {}
    for level in levels:
        where = "clean speech" if level is None else f"{level:g} {scale.unit}"
        one, other = (
            check_answers(answers[level], labels, f"the {whose}'s answers ({where})")
            for whose, answers in (("system", system), ("reference", reference))
        )
        joined[level] = join_pair(one, other)
        clean = joined[None]
        for here, there, name in ((clean, joined[level], where), (joined[level], clean, "clean speech")):
            if (missing := here.join(there, on=[*KEY, "group", "label"], how="anti")).height:
                raise StudyError(
                    f"{name} lacks {some_keys(missing)}; conditions are compared on the same clips, in the voices that "
                    "are heard in noise"
                )
    correct = {
        level: (table["system_correct"].to_numpy(), table["reference_correct"].to_numpy())
        for level, table in joined.items()
    }
    return correct, Clusters.of(joined[None]["group"].to_list())
