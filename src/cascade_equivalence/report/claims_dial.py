"""What the study asks of its own measures: that they move with a dial where the voice tells, and only there.

These claims are not the paper's; a study without a dial is not asked them (``PaperClaim.needs``).
"""

import math
from dataclasses import replace
from typing import Any

from cascade_equivalence.report.claims_paper import ALL_OF, ClaimTest, PaperClaim, new_claim
from cascade_equivalence.report.claims_pool import independent
from cascade_equivalence.report.claims_rows import Facts, measured
from cascade_equivalence.report.claims_tested import ClaimResult, EstimateGroup
from cascade_equivalence.report.dial_trends import TABLE
from cascade_equivalence.report.display import decimal, interval, points, points_interval
from cascade_equivalence.report.naming import task_title

SLOPE = "_slope"


def ordered(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Does a slope's number go one way with the scale, on every task, with no step back that is shown?

    It has to be shown on each task (Page's test; the largest p is that of all of them: an intersection-union test). A
    task on which it goes the other way, or has a step that does, refutes it where that is shown, as one of as many as
    were looked at.
    """
    assert claim.rows is not None
    group = EstimateGroup.of_claim(claim, facts)
    if not group.there:
        return ClaimResult(reason=group.reason)
    measure = claim.rows.value.removesuffix(SLOPE)
    rows = {(row["system"], row["task"]): row for row in facts.tables[claim.rows.table].iter_rows(named=True)}
    mine = [rows[each.who, each.task] for each in group.there]
    expected = [(row[claim.rows.value] > 0) == (claim.expect == "above") for row in mine]
    against = [
        p
        for row, fine in zip(mine, expected, strict=True)
        if (p := row[f"{measure}_back_p"] if fine else row[f"{measure}_p"]) is not None
    ]
    # A step back that may be chance does not refute; nor does it tell that there is none.
    refuted = min(1.0, len(mine) * min(against)) if against else 1.0
    supports = all(expected) and refuted > 1 - facts.confidence
    result = ClaimResult(
        found=independent(list(group.by_task().values())),
        p=max(row[f"{measure}_p"] for row in mine) if supports else refuted,
        supports=supports,
        systems=list(dict.fromkeys(each.who for each in group.there)),
        tasks=group.tasks,
        standings=[each.standing for each in group.there],
    )
    return replace(result, detail="; ".join(_told(row, measure, claim.unit) for row in mine))


def steady(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Does a number stay within a bound on both sides, on every task?

    Each interval has to lie inside (two one-sided tests a task; the largest p is that of all: an intersection-union
    test). A number beyond the bound on one task refutes it where that is shown, as one of as many as were looked at.
    """
    assert claim.rows is not None and isinstance(claim.against, float)
    margin = claim.against
    group = EstimateGroup.of(measured(claim.rows, facts.tasks(claim.tasks), facts, 0.0))
    if not group.there:
        return ClaimResult(reason=group.reason)
    found = {each: each.above for each in group.there}
    worst = max(found, key=lambda each: abs(found[each].value))
    inside = abs(found[worst].value) < margin
    if inside:
        p = max(facts.p(value.minus(bound)) for value in found.values() for bound in (margin, -margin))
    else:
        beyond = [
            value.minus(math.copysign(margin, value.value)) for value in found.values() if abs(value.value) >= margin
        ]
        p = min(1.0, len(found) * min(map(facts.p, beyond)))
    shown = points_interval if claim.unit == "points" else interval
    return ClaimResult(
        found=found[worst].minus(margin),
        against=margin,
        p=p,
        supports=inside,
        systems=list(dict.fromkeys(each.who for each in group.there)),
        tasks=group.tasks,
        standings=[each.standing for each in group.there],
        detail="; ".join(f"{task_title(each.task)} {shown(*value)}" for each, value in found.items()),
    )


def _told(row: dict[str, Any], measure: str, unit: str) -> str:
    shown = points if unit == "points" else lambda value: decimal(value, signed=True)
    back = row[f"{measure}_back"]
    steps = "no step back" if back is None else f"but {shown(back)} from {row[f'{measure}_back_at']}"
    return f"{task_title(row['task'])} {shown(row[measure + SLOPE])}, {steps}"


KIND = ClaimTest
TESTS = (ClaimTest("ordered", ordered), ClaimTest("steady", steady))
ORDERED, STEADY = (test.name for test in TESTS)
_COMMON: dict[str, Any] = {
    "section": "not in the paper",
    "needs": TABLE.name,
    "tasks": "text_insufficient",
}


def claims() -> tuple[PaperClaim, ...]:
    """The claims, which name tables and tests: made once those are there."""
    return (
        new_claim(
            **_COMMON,
            id="dial_agreement",
            title="The dial: agreement falls as more of the adapter is made",
            says=(
                "Nothing of it. The study asks it of its own measures: the more of an adapter that hears how something "
                "is said, the less its speech LLM answers like the cascade with its own text LLM."
            ),
            judged_on=(
                "dial_trends, kappa_slope against 0 by Page's test; an adapter at three scales or more, each with its "
                "own-weights cascade; every text-insufficient task, clean speech"
            ),
            test=ORDERED,
            rows={"table": TABLE.name, "value": f"kappa{SLOPE}"},
            expect="below",
            smallest=0.05,
            holds="κ with the own cascade changes by {value} from the least to the most of the adapter ({detail}).",
            fails="κ with the own cascade does not fall with the adapter ({detail}).",
            untold="κ with the own cascade from the least to the most of the adapter: {value} ({detail}); {reason}.",
        ),
        new_claim(
            **_COMMON,
            id="dial_accuracy",
            title="The dial: accuracy rises as more of the adapter is made",
            says=(
                "Nothing of it. The study asks it of its own measures: the more of an adapter that hears how something "
                "is said, the more often its speech LLM is right where the words do not tell."
            ),
            judged_on=(
                "dial_trends, accuracy_slope against 0 by Page's test; an adapter at three scales or more; every "
                "text-insufficient task, clean speech"
            ),
            test=ORDERED,
            rows={"table": TABLE.name, "value": f"accuracy{SLOPE}"},
            smallest=0.05,
            unit="points",
            holds="Accuracy changes by {value} points from the least to the most of the adapter ({detail}).",
            fails="Accuracy does not rise with the adapter ({detail}).",
            untold="Accuracy from the least to the most of the adapter: {value} points ({detail}); {reason}.",
        ),
        new_claim(
            **_COMMON | {"tasks": "text_sufficient"},
            id="dial_words",
            title="The dial: accuracy stays where the words tell",
            says=(
                "Nothing of it. The study asks it of its own measures: an adapter that hears how something is said "
                "leaves alone what a model makes of the words. A broken model agrees less with its cascade, too."
            ),
            judged_on=(
                "dial_trends, accuracy_slope within 10 points on both sides; an adapter at three scales or more; every "
                "text-sufficient task, clean speech"
            ),
            test=STEADY,
            rows={"table": TABLE.name, "value": f"accuracy{SLOPE}"},
            against=0.1,
            unit="points",
            holds="On tasks that the words tell accuracy stays within {against} points ({detail}).",
            fails="Accuracy does not stay within {against} points where the words tell ({detail}).",
            untold="Accuracy where the words tell, from the least to the most of the adapter: {detail}; {reason}.",
        ),
        new_claim(
            **_COMMON | {"tasks": "closed"},
            id="dial",
            title="The dial: the measures move with what they measure",
            says="Nothing of it. All claims on the dial hold.",
            judged_on="the claims on the dial",
            test=ALL_OF,
            parts=["dial_agreement", "dial_accuracy", "dial_words"],
            holds="Agreement falls and accuracy rises with the adapter, no step back is shown, the words are left.",
            fails="The measures do not move with the adapter as they must: {reason}.",
            untold="Whether the measures move with the adapter: {reason}.",
        ),
    )
