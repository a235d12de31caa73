"""The tests of claims that compare models, systems, tasks or scales among themselves: differences and orders."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import polars as pl
from scipy import stats

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.chance import ABOVE
from cascade_equivalence.report.claims_paper import PICKS, PaperClaim
from cascade_equivalence.report.claims_rows import Facts, Value, independent, measured
from cascade_equivalence.report.claims_tested import NOTHING, ClaimResult, EstimateGroup
from cascade_equivalence.report.display import decimal, interval, percent, points, points_interval
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.wording import counted

FEWEST_RANKED = 5
"""Units below which no rank correlation can reach p = 0.05 (4! = 24 orders); fewer are compared two by two."""


def models_differ(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Do any two models differ? Corrected for how many are compared, all of which answer the same items."""
    group = EstimateGroup.of_claim(claim, facts)
    found = group.by_model()
    if len(found) < 2:  # noqa: PLR2004 - two make a difference
        return ClaimResult(reason=group.reason if not found else "it needs two speech LLMs, and there is one")
    differences = [(found[one].minus(found[other]), one, other) for one, other in combinations(found, 2)]
    # Value and interval are those of the pair that the p is of.
    most, one, other = min(differences, key=lambda each: facts.p(each[0]))
    p = min(1.0, len(differences) * facts.p(most))
    first, second = (one, other) if most.value > 0 else (other, one)
    shown = "; ".join(f"{model} {decimal(value.value)}" for model, value in found.items())
    return ClaimResult(
        found=most if most.value > 0 else most.negative(),
        p=p,
        supports=True,
        systems=list(found),
        tasks=group.tasks,
        most=max(max(abs(each.low), abs(each.high)) for each, *_ in differences),
        detail=f"{shown}; most clearly between {first} and {second}",
        standings=[each.standing for each in group.there],
    )


def gradient(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Does what the rows measure go with a trait of the models, or of the tasks?"""
    group = EstimateGroup.of_claim(claim, facts)
    if not group.there:
        return ClaimResult(reason=group.reason)
    if claim.trait == "surplus":
        effects, traits = group.by_task(), _surplus(facts)
    else:
        traits = _of_models(facts, str(claim.trait))
        effects = group.by_model()
    units = [unit for unit in effects if unit in traits]
    kind = "task" if claim.trait == "surplus" else "model"
    if len(units) < 2:  # noqa: PLR2004 - two make a difference
        there = "there is one" if units else "there is none"
        return ClaimResult(reason=f"it needs two {kind}s of which both are known, and {there}")
    used = [each for each in group.there if (each.task if kind == "task" else each.model) in units]
    place = ClaimResult(
        systems=units if kind == "model" else (),
        tasks=units if kind == "task" else (),
        standings=[each.standing for each in used],
    )
    titles = {unit: task_title(unit) for unit in units}
    shown = "; ".join(f"{titles[u]}: {decimal(traits[u].value)} and {decimal(effects[u].value)}" for u in units)
    if len(units) >= FEWEST_RANKED:
        tau = stats.kendalltau([traits[u].value for u in units], [effects[u].value for u in units])
        return _ranked(claim, float(tau.statistic), float(tau.pvalue), f"{shown}; Kendall's τ", place)
    agree, ps = [], []
    for one, other in combinations(units, 2):
        moves = [values[one].minus(values[other]) for values in (traits, effects)]
        agree.append((moves[0].value * moves[1].value > 0) == (claim.expect == "above"))
        ps.append(max(map(facts.p, moves)))
    supports = all(agree)
    # All have to go the way that is claimed, and each of them has to be shown; one that is shown to go the other way
    # refutes it, of as many as were looked at.
    p = max(ps) if supports else min(1.0, len(ps) * min(p for p, fine in zip(ps, agree, strict=True) if not fine))
    few = f"{len(units)} {kind}s are no gradient: only their order is judged"
    return replace(place, p=p, supports=supports, detail=f"{shown}; {few}")


def _ranked(claim: PaperClaim, tau: float, p: float, detail: str, place: ClaimResult) -> ClaimResult:
    if tau != tau:  # noqa: PLR0124 - not a number: all are tied
        return replace(place, reason="all are tied")
    return replace(place, value=tau, p=p, supports=(tau > 0) == (claim.expect == "above"), detail=detail)


def _surplus(facts: Facts) -> dict[str, Value]:
    return _values(facts.tables.surplus, "task", "surplus")


def _of_models(facts: Facts, trait: str) -> dict[str, Value]:
    if trait == "lens_precision":
        return _values(_last(facts.tables.lens), "model", "precision")
    pitch = _last(facts.tables.probes.filter(~pl.col("untrained"), probe="pitch"))
    first, last = _values(pitch, "model", "first_value"), _values(pitch, "model", "value")
    return {model: first[model].minus(last[model]) for model in first if model in last}


def _last(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("layer") == pl.col("layer").max().over("model"))


def _values(table: pl.DataFrame, key: str, name: str) -> dict[str, Value]:
    ends = [f"{name}{end}" for end in ("", "_low", "_high")]
    there = table.filter(*(pl.col(end).is_not_null() for end in ends))
    return {row[0]: Value(*row[1:]) for row in there.select(key, *ends).iter_rows()}


def order(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Do the paper's own systems have the paper's order of mean accuracies?"""
    own = {ours: theirs.name for ours, theirs in facts.paper.systems.items() if not theirs.stands_in}
    table = facts.numbers.filter(place="Table 2", statistic="accuracy")
    theirs = {(row["system"], row["task"]): row["value"] for row in table.iter_rows(named=True)}
    mine = {(row["system"], row["task"]): row["accuracy"] for row in facts.tables.accuracy.iter_rows(named=True)}
    ranked = [name for name in own if any(system == own[name] for system, _ in theirs)]
    tasks = [
        task for task in facts.tasks(claim.tasks) if all((own[s], task) in theirs and (s, task) in mine for s in ranked)
    ]
    if len(ranked) < FEWEST_RANKED:
        few = f"the paper's own systems in this study: {len(ranked)}; fewer than {FEWEST_RANKED} cannot show an order"
        return ClaimResult(reason=few)
    if not tasks:
        return ClaimResult(reason="they were not run on one task of the paper's Table 2 together")
    ours = {s: sum(mine[s, task] for task in tasks) / len(tasks) for s in ranked}
    tau = stats.kendalltau(list(ours.values()), [sum(theirs[own[s], task] for task in tasks) for s in ranked])
    shown = ", ".join(f"{name} {percent(ours[name])} %" for name in sorted(ours, key=lambda name: -ours[name]))
    standings = [facts.standing((s,), task, (CLEAN,)) for s in ranked for task in tasks]
    place = ClaimResult(systems=ranked, tasks=tasks, standings=standings)
    return _ranked(claim, float(tau.statistic), float(tau.pvalue), shown, place)


def reversal(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Does noise turn the order of a speech LLM and a cascade that clean speech shows?"""
    table = facts.tables.ranking.filter(
        PICKS["speech_llm_and_cascade"].rows(facts), pl.col("task").is_in(facts.tasks(claim.tasks))
    )
    turned: list[tuple[float, str]] = []
    kept: list[float] = []
    systems, tasks, standings = [], [], []
    for (system, reference, task, _), part in table.group_by(
        "system", "reference", "task", "noise", maintain_order=True
    ):
        rows = {row["condition"]: row for row in part.iter_rows(named=True)}
        clean = rows.pop(CLEAN, None)
        if clean is None or clean["difference_low"] is None or not clean["difference"]:
            continue
        for condition, row in rows.items():
            if row["difference_low"] is None:
                continue
            p = max(facts.p(_difference(each)) for each in (clean, row))
            if row["difference"] * clean["difference"] < 0:
                turned.append((p, f"{system} and {reference} on {task_title(str(task))}, {condition}"))
            else:
                kept.append(p)
            systems.append(f"{system} ~ {reference}")
            tasks.append(str(task))
            standings.append(facts.standing((str(system), str(reference)), str(task), (CLEAN, condition)))
    looked = len(turned) + len(kept)
    if not looked:
        return ClaimResult(reason=NOTHING)
    place = ClaimResult(systems=list(dict.fromkeys(systems)), tasks=list(dict.fromkeys(tasks)), standings=standings)
    whole = counted(looked, "comparison")
    if turned:
        p, name = min(turned)
        detail = f"{len(turned)} of {whole} turned, most clearly that of {name} (p times {looked})"
        # One of as many as were looked at (Bonferroni).
        return replace(place, p=min(1.0, looked * p), supports=True, detail=detail)
    return replace(place, p=max(kept), supports=False, detail=f"0 of {whole} turned")


def _difference(row: Mapping[str, float]) -> Value:
    return Value(row["difference"], row["difference_low"], row["difference_high"])


SLOPE = "_slope"
"""What the columns of a measure's slope over the scales of a dial end in."""


def ordered(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Does a slope's number go one way with the scale, on every task, with no step back that is shown?

    It has to be shown on each task (Page's test; the largest p is that of all of them: an intersection-union test). A
    task on which it goes the other way, or has a step that does, refutes it where that is shown, as one of as many as
    were looked at.
    """
    assert claim.rows is not None
    group = EstimateGroup.of_claim(claim, facts)
    if open_because := _not_on_every_task(group):
        return ClaimResult(reason=open_because)
    measure = claim.rows.value.removesuffix(SLOPE)
    mine = _rows_of(group, claim, facts)
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

    The rows have it as the largest of several values, with the ends of what the intervals of all hold, which have to
    lie inside: two one-sided tests of each, at half of the level that is left outside an interval; the largest p is
    that of all (an intersection-union test). A number beyond the bound refutes it where that is shown, as one of as
    many tasks as were looked at. A task without an interval leaves it open, and so do systems that are at chance.
    """
    assert claim.rows is not None
    margin = float(claim.against)
    group = EstimateGroup.of(measured(claim.rows, facts.tasks(claim.tasks), facts, 0.0))
    if open_because := _not_on_every_task(group):
        return ClaimResult(reason=open_because)
    found = {each: each.above for each in group.there}
    worst = max(found, key=lambda each: abs(found[each].value))
    inside = abs(found[worst].value) < margin
    if not inside:
        beyond = [value for value in found.values() if abs(value.value) >= margin]
        p = min(1.0, len(found) * min(facts.p(value.minus(math.copysign(margin, value.value))) for value in beyond))
    elif ABOVE not in {each.standing for each in found}:
        return ClaimResult(reason="no system is shown to be above chance, so that there is nothing to lose")
    else:
        ends = [
            [row[f"{claim.rows.value}{end}"] for end in ("_least", "_most")] for row in _rows_of(group, claim, facts)
        ]
        whole = [Value(value.value, *both) for value, both in zip(found.values(), ends, strict=True)]
        p = max(facts.p(value.minus(bound)) for value in whole for bound in (margin, -margin))
    shown = points_interval if claim.unit == "points" else interval
    return ClaimResult(
        found=found[worst].minus(margin),
        against=margin,
        p=p,
        supports=inside,
        systems=list(dict.fromkeys(each.who for each in found)),
        tasks=group.tasks,
        standings=[each.standing for each in found],
        detail="; ".join(f"{task_title(each.task)} {shown(*value)}" for each, value in found.items()),
    )


def _not_on_every_task(group: EstimateGroup) -> str:
    """Why nothing can be said of every task: one has no interval; empty where all have."""
    if not group.there:
        return group.reason
    return "; ".join(f"{task_title(each.task)} has no interval: {each.reason}" for each in group.lacking)


def _rows_of(group: EstimateGroup, claim: PaperClaim, facts: Facts) -> list[dict[str, Any]]:
    """The rows that a group's estimates come from."""
    assert claim.rows is not None
    rows = {(row["system"], row["task"]): row for row in facts.tables[claim.rows.table].iter_rows(named=True)}
    return [rows[each.who, each.task] for each in group.there]


def _told(row: dict[str, Any], measure: str, unit: str) -> str:
    shown = points if unit == "points" else lambda value: decimal(value, signed=True)
    back = row[f"{measure}_back"]
    steps = "no step back" if back is None else f"but {shown(back)} from {row[f'{measure}_back_at']}"
    return f"{task_title(row['task'])} {shown(row[measure + SLOPE])}, {steps}"
