"""One contrast node: does a system agree more with one reference than with another, on the same clips?

The difference kappa(system, first) - kappa(system, second) is paired: a text that is hard for everybody moves both
terms alike, and their correlation makes the interval of the difference narrower, see ``intervals.difference``.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from cascade_equivalence.stats import agreement
from cascade_equivalence.stats.accuracy import accuracy, against_chance, no_chance
from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.intervals import difference, paired_difference
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate

REFERENCES = ("first", "second")


def contrast(
    system: pl.DataFrame,
    first: pl.DataFrame,
    second: pl.DataFrame,
    labels: Sequence[str],
    *,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Compare a system's agreement with two references.

    Args:
        system: Answers of the system under study.
        first: Answers of one reference, to the same clips.
        second: Answers of the other reference, to the same clips.
        labels: The closed label set; empty for open answers.
        confidence: Level of the intervals.

    Returns:
        What the contrast node writes, see ``numbers``. An estimate is ``{value, low, high, reason}``; those of one
        number are the same as in the agreement nodes.

        - ``rows``, ``groups``, ``confidence``
        - ``kappa_difference``, ``observed_difference``: with the first reference minus with the second, estimates
        - ``first``, ``second``: {kappa, observed_agreement, accuracy: estimates, own_chance, against_chance}
        - ``system``: {accuracy: an estimate, own_chance, against_chance}

    Raises:
        StudyError: A table does not pass ``check_answers``, or the three do not join one to one.
    """
    tables = {
        name: check_answers(table, labels, f"{whose}'s answers")
        for name, whose, table in (
            ("system", "the system", system),
            ("first", "the first reference", first),
            ("second", "the second reference", second),
        )
    }
    # Both joins hold the clips of the system, sorted alike, so their groups have the same numbers.
    joints = {name: join_pair(tables["system"], tables[name], f"the {name} reference") for name in REFERENCES}
    pairs = {name: Paired.of(joint, labels) for name, joint in joints.items()}
    joined = joints["first"]
    parsed = {"system": joined["system_parsed"]} | {name: joint["reference_parsed"] for name, joint in joints.items()}
    clusters: Clusters = pairs["first"].clusters
    kappas = {name: agreement.kappa(pair) for name, pair in pairs.items()}
    observed = {name: agreement.observed_agreement(pair) for name, pair in pairs.items()}
    correct = {"system": pairs["first"].system_correct} | {name: pair.reference_correct for name, pair in pairs.items()}
    agrees = {name: pair.system == pair.reference for name, pair in pairs.items()}
    statistics = {
        "kappa_difference": difference(kappas["first"], kappas["second"], clusters.count, _undefined(pairs)),
        "observed_difference": paired_difference(clusters, agrees["first"], agrees["second"], "there are no rows"),
        **{f"{name} kappa": statistic for name, statistic in kappas.items()},
        **{f"{name} observed_agreement": statistic for name, statistic in observed.items()},
        **{f"{name} accuracy": accuracy(clusters, right) for name, right in correct.items()},
    }
    found = estimate(statistics, clusters.count, confidence)
    gold = joined["label"]
    arms = {
        name: {
            "accuracy": asdict(found[f"{name} accuracy"]),
            **(against_chance(parsed[name], gold, clusters, confidence) if labels else no_chance()),
        }
        for name in correct
    }
    for name in REFERENCES:
        arms[name] |= {part: asdict(found[f"{name} {part}"]) for part in ("kappa", "observed_agreement")}
    return {
        "rows": tables["system"].height,
        "groups": clusters.count,
        "confidence": confidence,
        "kappa_difference": asdict(found["kappa_difference"]),
        "observed_difference": asdict(found["observed_difference"]),
        **arms,
    }


def _undefined(pairs: dict[str, Paired]) -> str:
    """Why the difference of two kappas may not exist: the reference it fails with on all rows, if there is one."""
    constant = [name for name, pair in pairs.items() if len({*pair.system.tolist(), *pair.reference.tolist()}) == 1]
    whose = " and the ".join(constant) if constant else "first or the second"
    return f"κ with the {whose} reference does not exist: {agreement.UNDEFINED}"
