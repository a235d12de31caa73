"""One contrast node: does a system agree more with one reference than with another, on the same clips?

The difference kappa(system, first) - kappa(system, second) is paired: each draw of groups gives both terms the same
weights, so what makes a group of texts hard for everybody cancels out.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from cascade_equivalence.stats import agreement
from cascade_equivalence.stats.accuracy import accuracy, against_chance, levels
from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.bootstrap import Clusters, Statistic, estimate
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.paired import Paired

REFERENCES = ("first", "second")


def difference(first: Statistic, second: Statistic, undefined: str) -> Statistic:
    """One statistic minus another, draw by draw.

    Args:
        first: The one.
        second: The other, over the same groups.
        undefined: Why the difference may not exist: it does not where either value does not.
    """
    return Statistic(lambda weights: first.of(weights) - second.of(weights), undefined)


def contrast(
    system: pl.DataFrame,
    first: pl.DataFrame,
    second: pl.DataFrame,
    labels: Sequence[str],
    *,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare a system's agreement with two references.

    Args:
        system: Answers of the system under study.
        first: Answers of one reference, to the same clips.
        second: Answers of the other reference, to the same clips.
        labels: The closed label set; empty for open answers.
        draws: Bootstrap draws.
        confidence: Level of the intervals.
        seed: Seed of the draws.

    Returns:
        What the contrast node's JSON holds; every interval comes from the same draws of whole groups, which are also
        those of the agreement nodes. An estimate is ``{value, low, high, undefined_draws, reason}``.

        - ``rows``, ``groups``, ``bootstrap`` {draws, confidence, seed}
        - ``kappa_difference``, ``observed_difference``: with the first reference minus with the second, estimates
        - ``first``, ``second``: {kappa, observed_agreement, accuracy: estimates, against_chance}
        - ``system``: {accuracy: an estimate, against_chance}

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
    pairs = {
        name: Paired.of(join_pair(tables["system"], tables[name], f"the {name} reference"), labels)
        for name in REFERENCES
    }
    clusters: Clusters = pairs["first"].clusters
    kappas = {name: agreement.kappa(pair) for name, pair in pairs.items()}
    observed = {name: agreement.observed_agreement(pair) for name, pair in pairs.items()}
    correct = {"system": pairs["first"].system_correct} | {name: pair.reference_correct for name, pair in pairs.items()}
    statistics = {
        "kappa_difference": difference(kappas["first"], kappas["second"], _undefined(pairs)),
        "observed_difference": difference(observed["first"], observed["second"], "there are no rows"),
        **{f"{name} kappa": statistic for name, statistic in kappas.items()},
        **{f"{name} observed_agreement": statistic for name, statistic in observed.items()},
        **{f"{name} accuracy": accuracy(clusters, right) for name, right in correct.items()},
    }
    found = estimate(statistics, clusters.count, draws=draws, confidence=confidence, seed=seed)
    chance = levels(tables["system"]["label"], labels)["chance"]
    arms = {
        name: {
            "accuracy": asdict(found[f"{name} accuracy"]),
            "against_chance": against_chance(found[f"{name} accuracy"], chance),
        }
        for name in correct
    }
    for name in REFERENCES:
        arms[name] |= {part: asdict(found[f"{name} {part}"]) for part in ("kappa", "observed_agreement")}
    return {
        "rows": tables["system"].height,
        "groups": clusters.count,
        "bootstrap": {"draws": draws, "confidence": confidence, "seed": seed},
        "kappa_difference": asdict(found["kappa_difference"]),
        "observed_difference": asdict(found["observed_difference"]),
        **arms,
    }


def _undefined(pairs: dict[str, Paired]) -> str:
    """Why the difference of two kappas may not exist: the reference it fails with on all rows, if there is one."""
    constant = [name for name, pair in pairs.items() if len({*pair.system.tolist(), *pair.reference.tolist()}) == 1]
    whose = " and the ".join(constant) if constant else "first or the second"
    return f"κ with the {whose} reference does not exist: {agreement.UNDEFINED}"
