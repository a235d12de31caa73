"""What systems answer when nothing is said: the floor under accuracy and under agreement.

A question over silence holds all but the words. What is right there was guessed from the prompt, its options and the
labels' habits; what two systems agree on there they agree on without hearing. A system that gives a clip of silence the
answers that it gives to speech does not use the speech.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from cascade_equivalence.stats import agreement
from cascade_equivalence.stats.accuracy import summarise
from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.retest import retest
from cascade_equivalence.stats.statistic import estimate


def alone(
    silent: pl.DataFrame, spoken: pl.DataFrame, labels: Sequence[str], confidence: float = 0.95
) -> dict[str, Any]:
    """What one system answers over silence, and how that compares with its answers to speech.

    Args:
        silent: Its answers over silence, of one voice.
        spoken: Its answers to these items as they were spoken, and to others, of that voice and others.
        labels: The closed label set; empty for open answers.
        confidence: Level of the intervals.

    Returns:
        ``rows`` and ``groups``; ``accuracy`` (an estimate) and ``against_chance`` over silence; ``commonest``, the
        answer that is given most, and ``commonest_share``; ``kappa``, ``observed_agreement`` and
        ``accuracy_difference`` (silence minus speech) of the system with itself, see ``retest``.

    Raises:
        StudyError: A table does not pass ``check_answers``, or a clip of silence was not spoken.
    """
    found = summarise(silent, labels, confidence=confidence, whose="the answers over silence")
    usual = spoken.join(silent.select("id", "voice"), on=["id", "voice"], how="semi", maintain_order="left")
    # Of answers that are given equally often the first in the alphabet, so that the same is named every time.
    counts = silent["parsed"].value_counts().sort("count", "parsed", descending=[True, False])
    return {
        **{name: found[name] for name in ("rows", "groups", "accuracy", "against_chance")},
        "commonest": counts["parsed"][0],
        "commonest_share": counts["count"][0] / silent.height,
        **retest(usual, silent, labels, confidence),
    }


def together(
    system: pl.DataFrame, reference: pl.DataFrame, labels: Sequence[str], confidence: float = 0.95
) -> dict[str, Any]:
    """How far two systems agree over silence.

    Args:
        system: Answers of one over silence.
        reference: Answers of the other, to the same clips.
        labels: The closed label set; empty for open answers.
        confidence: Level of the intervals.

    Returns:
        ``rows``, ``groups`` and the estimates ``kappa`` and ``observed_agreement``, as ``compare`` gives them.

    Raises:
        StudyError: A table does not pass ``check_answers``, or the two do not join one to one.
    """
    one, other = (check_answers(each, labels, "the answers over silence") for each in (system, reference))
    paired = Paired.of(join_pair(one, other), labels)
    statistics = {"kappa": agreement.kappa(paired), "observed_agreement": agreement.observed_agreement(paired)}
    found = estimate(statistics, paired.clusters.count, confidence)
    return {
        "rows": len(paired.system),
        "groups": paired.clusters.count,
        **{name: asdict(each) for name, each in found.items()},
    }


def floor(
    silent: Mapping[str, pl.DataFrame],
    spoken: Mapping[str, pl.DataFrame],
    pairs: Sequence[tuple[str, str]],
    labels: Sequence[str],
    confidence: float = 0.95,
) -> dict[str, list[dict[str, Any]]]:
    """The floor of a task.

    Args:
        silent: Answers over silence, by system.
        spoken: Answers to speech, by system.
        pairs: System and reference of the pairs that are compared.
        labels: The closed label set; empty for open answers.
        confidence: Level of the intervals.

    Returns:
        ``systems``: ``alone`` of each, with ``system``; ``pairs``: ``together`` of each, with ``system`` and
        ``reference``.

    Raises:
        StudyError: A table does not pass ``check_answers``, or two do not join.
    """
    return {
        "systems": [
            {"system": name, **alone(table, spoken[name], labels, confidence)} for name, table in silent.items()
        ],
        "pairs": [
            {"system": one, "reference": other, **together(silent[one], silent[other], labels, confidence)}
            for one, other in pairs
        ],
    }
