"""The tests of the paper's claims, by the names that ``claims.yaml`` gives them: here those of a mean over tasks."""

from collections.abc import Sequence
from dataclasses import replace

from cascade_equivalence.report.claims_orders import gradient, models_differ, order, ordered, reversal, steady
from cascade_equivalence.report.claims_paper import ClaimTest, PaperClaim
from cascade_equivalence.report.claims_rows import Facts, Measured, Value, dependent, independent, measured
from cascade_equivalence.report.claims_tested import ClaimResult, EstimateGroup


def _interval(claim: PaperClaim, found: Value, used: Sequence[Measured], facts: Facts) -> ClaimResult:
    above = found.value > 0
    bounds = {each.against for each in used if each.against is not None}
    return ClaimResult(
        found=found,
        against=bounds.pop() if len(bounds) == 1 else 0.0,
        p=facts.p(found),
        supports=above == (claim.expect == "above"),
        systems=list(dict.fromkeys(each.who for each in used)),
        tasks=list(dict.fromkeys(each.task for each in used)),
        standings=[each.standing for each in used],
    )


def mean(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Does the mean over tasks lie on one side of a bound?"""
    group = EstimateGroup.of_claim(claim, facts)
    if not group.there:
        return ClaimResult(reason=group.reason)
    return _interval(claim, independent(list(group.by_task().values())), group.there, facts)


def between_tasks(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Is the mean over text-sufficient tasks above that over the others, for the same systems?"""
    first, second = (EstimateGroup.of_claim(claim, facts, kind) for kind in ("text_sufficient", "text_insufficient"))
    for group, kind in ((first, "text-sufficient"), (second, "text-insufficient")):
        if not group.there:
            return ClaimResult(reason=f"on {kind} tasks {group.reason}")
    differences, used = [], []
    for who in dict.fromkeys(each.who for each in first.there):
        mine, others = ([each for each in group.there if each.who == who] for group in (first, second))
        if others:
            one, two = (independent([each.above for each in part]) for part in (mine, others))
            differences.append(one.minus(two))
            used += [*mine, *others]
    if not differences:
        return ClaimResult(reason="no systems were compared on tasks of both kinds")
    return replace(_interval(claim, dependent(differences), used, facts), against=0.0)


def between_systems(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Are the rows above the second rows, task by task?"""
    assert claim.second is not None
    first = EstimateGroup.of_claim(claim, facts)
    second = EstimateGroup.of(measured(claim.second, facts.tasks(claim.tasks), facts, 0.0))
    for group in (first, second):
        if not group.there:
            return ClaimResult(reason=group.reason)
    ones, others = first.by_task(), second.by_task()
    both = [task for task in ones if task in others]
    if not both:
        return ClaimResult(reason="no task has both")
    used = [each for each in (*first.there, *second.there) if each.task in both]
    found = independent([ones[task].minus(others[task]) for task in both])
    return replace(_interval(claim, found, used, facts), against=0.0)


KIND = ClaimTest
OWN = (
    ClaimTest("mean", mean),
    ClaimTest("between_tasks", between_tasks),
    ClaimTest("between_systems", between_systems),
    ClaimTest("spread", models_differ),
    ClaimTest("gradient", gradient),
    ClaimTest("order", order, of_rows=False),
    ClaimTest("reversal", reversal, of_rows=False),
    ClaimTest("ordered", ordered),
    ClaimTest("steady", steady),
)
