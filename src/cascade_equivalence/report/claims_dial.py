"""What the study asks of its own measures: that they move with a dial, on every text-insufficient task.

These claims are not the paper's; a study without a dial is not asked them (``PaperClaim.needs``).
"""

from dataclasses import replace
from typing import Any

from cascade_equivalence.report.claims_paper import ALL_OF, ClaimTest, PaperClaim, new_claim
from cascade_equivalence.report.claims_pool import independent
from cascade_equivalence.report.claims_rows import Facts
from cascade_equivalence.report.claims_tested import ClaimResult, EstimateGroup
from cascade_equivalence.report.dial_trends import TABLE
from cascade_equivalence.report.display import decimal, points
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


def _told(row: dict[str, Any], measure: str, unit: str) -> str:
    shown = points if unit == "points" else lambda value: decimal(value, signed=True)
    back = row[f"{measure}_back"]
    steps = "no step back" if back is None else f"but {shown(back)} from {row[f'{measure}_back_at']}"
    return f"{task_title(row['task'])} {shown(row[measure + SLOPE])}, {steps}"


KIND = ClaimTest
TEST = ClaimTest("ordered", ordered)
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
            test=TEST.name,
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
            test=TEST.name,
            rows={"table": TABLE.name, "value": f"accuracy{SLOPE}"},
            smallest=0.05,
            unit="points",
            holds="Accuracy changes by {value} points from the least to the most of the adapter ({detail}).",
            fails="Accuracy does not rise with the adapter ({detail}).",
            untold="Accuracy from the least to the most of the adapter: {value} points ({detail}); {reason}.",
        ),
        new_claim(
            **_COMMON | {"tasks": "closed"},
            id="dial",
            title="The dial: the measures move with what they measure",
            says="Nothing of it. Both claims on the dial hold.",
            judged_on="both claims on the dial",
            test=ALL_OF,
            parts=["dial_agreement", "dial_accuracy"],
            holds="Agreement falls and accuracy rises with the adapter, and no step back is shown.",
            fails="The measures do not move with the adapter as they must: {reason}.",
            untold="Whether the measures move with the adapter: {reason}.",
        ),
    )
