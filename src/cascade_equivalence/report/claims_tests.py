"""The tests of the paper's claims: from a study's estimates to a value with an interval, or a p."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import polars as pl
from scipy import stats

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.claims_paper import PaperClaim
from cascade_equivalence.report.claims_pool import Value, dependent, independent
from cascade_equivalence.report.claims_rows import PICKS, Facts, Measured, measured
from cascade_equivalence.report.display import decimal, percent
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.stats.equivalence import p_of_interval

FEWEST_RANKED = 5
"""Units below which no rank correlation can reach p = 0.05 (4! = 24 orders); fewer are compared two by two."""
NOTHING = "this study has nothing to judge it on"


@dataclass(frozen=True)
class Tested:
    """What a test gives.

    Attributes:
        found: Value and limits, minus the bound it is held against; None where there is none.
        value: The value alone, where it has no interval.
        against: The bound, where it is one number.
        p: Two-sided p of the value against the bound; None where there is no test.
        supports: Whether the value lies on the claimed side; None where that cannot be said.
        systems: What it rests on: systems, or those compared.
        tasks: Tasks it rests on.
        most: The most that any of several values may be, where ``found`` is one of them.
        detail: What else to tell.
        reason: Why it cannot be judged.
        guessing: Of how many estimates a system was not above chance.
    """

    found: Value | None = None
    value: float | None = None
    against: float = 0.0
    p: float | None = None
    supports: bool | None = None
    systems: Sequence[str] = ()
    tasks: Sequence[str] = ()
    most: float | None = None
    detail: str = ""
    reason: str = ""
    guessing: int = 0


@dataclass(frozen=True)
class Group:
    """Estimates that have limits, and why others have none."""

    there: list[Measured]
    reason: str = NOTHING
    tasks: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, found: Sequence[Measured]) -> "Group":
        """Sort them."""
        there = [each for each in found if each.found is not None and each.against is not None]
        missing = [each.reason or "there is no bound" for each in found if each not in there]
        reason = f"no estimate has an interval: {missing[0]}" if missing else NOTHING
        return cls(there, reason, list(dict.fromkeys(each.task for each in there)))

    def by_task(self) -> dict[str, Value]:
        """One estimate a task, above what each is held against: the mean over systems."""
        return {task: dependent([_above(each) for each in self.there if each.task == task]) for task in self.tasks}


def _above(one: Measured) -> Value:
    assert one.found is not None and one.against is not None
    return one.found.minus(one.against)


def _group(claim: PaperClaim, facts: Facts, tasks: str | Sequence[str] | None = None) -> Group:
    assert claim.rows is not None
    return Group.of(measured(claim.rows, facts.tasks(claim.tasks if tasks is None else tasks), facts, claim.against))


def _interval(claim: PaperClaim, found: Value, used: Sequence[Measured], facts: Facts) -> Tested:
    above = found.value > 0
    bounds = {each.against for each in used if each.against is not None}
    return Tested(
        found=found,
        against=bounds.pop() if len(bounds) == 1 else 0.0,
        p=p_of_interval(*found, 0.0, facts.confidence),
        supports=above == (claim.expect == "above"),
        systems=list(dict.fromkeys(each.who for each in used)),
        tasks=list(dict.fromkeys(each.task for each in used)),
        guessing=sum(each.guessing for each in used),
    )


def mean(claim: PaperClaim, facts: Facts) -> Tested:
    """Does the mean over tasks lie on one side of a bound?"""
    group = _group(claim, facts)
    if not group.there:
        return Tested(reason=group.reason)
    return _interval(claim, independent(list(group.by_task().values())), group.there, facts)


def between_tasks(claim: PaperClaim, facts: Facts) -> Tested:
    """Is the mean over text-sufficient tasks above that over the others, for the same systems?"""
    first, second = (_group(claim, facts, kind) for kind in ("text_sufficient", "text_insufficient"))
    for group, kind in ((first, "text-sufficient"), (second, "text-insufficient")):
        if not group.there:
            return Tested(reason=f"{group.reason}, of {kind} tasks")
    differences, used = [], []
    for who in dict.fromkeys(each.who for each in first.there):
        mine, others = ([each for each in group.there if each.who == who] for group in (first, second))
        if others:
            one, two = (independent([_above(each) for each in part]) for part in (mine, others))
            differences.append(one.minus(two))
            used += [*mine, *others]
    if not differences:
        return Tested(reason="no systems were compared on tasks of both kinds")
    return replace(_interval(claim, dependent(differences), used, facts), against=0.0)


def between_systems(claim: PaperClaim, facts: Facts) -> Tested:
    """Are the rows above the second rows, task by task?"""
    assert claim.second is not None
    first = _group(claim, facts)
    second = Group.of(measured(claim.second, facts.tasks(claim.tasks), facts, 0.0))
    for group in (first, second):
        if not group.there:
            return Tested(reason=group.reason)
    ones, others = first.by_task(), second.by_task()
    both = [task for task in ones if task in others]
    if not both:
        return Tested(reason="no task has both")
    used = [each for each in (*first.there, *second.there) if each.task in both]
    found = independent([ones[task].minus(others[task]) for task in both])
    return replace(_interval(claim, found, used, facts), against=0.0)


def _by_model(group: Group) -> dict[str, Value]:
    """One estimate a speech LLM: the mean over tasks of those of its pairs."""
    models = dict.fromkeys(each.model for each in group.there if each.model)
    return {
        model: independent(list(Group.of([one for one in group.there if one.model == model]).by_task().values()))
        for model in models
    }


def spread(claim: PaperClaim, facts: Facts) -> Tested:
    """Do any two models differ? Corrected for how many are compared, all of which answer the same items."""
    group = _group(claim, facts)
    found = _by_model(group)
    if len(found) < 2:  # noqa: PLR2004 - two make a difference
        return Tested(reason=group.reason if not found else "it needs two speech LLMs, and there is one")
    differences = [(found[one].minus(found[other]), one, other) for one, other in combinations(found, 2)]
    # Value and interval are those of the pair that the p is of.
    raw, (most, one, other) = min(
        ((p_of_interval(*each[0], 0.0, facts.confidence) or 0.0, each) for each in differences),
        key=lambda each: each[0],
    )
    p = min(1.0, len(differences) * raw)
    first, second = (one, other) if most.value > 0 else (other, one)
    shown = "; ".join(f"{model} {decimal(value.value)}" for model, value in found.items())
    return Tested(
        found=most if most.value > 0 else most.negative(),
        p=p,
        supports=True,
        systems=list(found),
        tasks=group.tasks,
        most=max(max(abs(each.low), abs(each.high)) for each, *_ in differences),
        detail=f"{shown}; most clearly between {first} and {second}",
    )


def gradient(claim: PaperClaim, facts: Facts) -> Tested:
    """Does what the rows measure go with a trait of the models, or of the tasks?"""
    group = _group(claim, facts)
    if not group.there:
        return Tested(reason=group.reason)
    if claim.trait == "surplus":
        effects, traits = group.by_task(), _surplus(facts)
    else:
        traits = _of_models(facts, str(claim.trait))
        effects = _by_model(group)
    units = [unit for unit in effects if unit in traits]
    kind = "task" if claim.trait == "surplus" else "model"
    if len(units) < 2:  # noqa: PLR2004 - two make a difference
        return Tested(reason=f"it needs two {kind}s of which both are known, and there are {len(units)}")
    place = Tested(systems=units if kind == "model" else (), tasks=units if kind == "task" else ())
    titles = {unit: task_title(unit) for unit in units}
    shown = "; ".join(f"{titles[u]}: {decimal(traits[u].value)} and {decimal(effects[u].value)}" for u in units)
    if len(units) >= FEWEST_RANKED:
        tau = stats.kendalltau([traits[u].value for u in units], [effects[u].value for u in units])
        return _ranked(claim, float(tau.statistic), float(tau.pvalue), f"{shown}; Kendall's τ", place)
    agree, ps = [], []
    for one, other in combinations(units, 2):
        moves = [values[one].minus(values[other]) for values in (traits, effects)]
        agree.append((moves[0].value * moves[1].value > 0) == (claim.expect == "above"))
        ps.append(max(p_of_interval(*move, 0.0, facts.confidence) or 0.0 for move in moves))
    supports = all(agree)
    # All have to go the way that is claimed, and each of them has to be shown; one that is shown to go the other way
    # refutes it, of as many as were looked at.
    p = max(ps) if supports else min(1.0, len(ps) * min(p for p, fine in zip(ps, agree, strict=True) if not fine))
    few = f"{len(units)} {kind}s are no gradient: only their order is judged"
    return replace(place, p=p, supports=supports, detail=f"{shown}; {few}")


def _ranked(claim: PaperClaim, tau: float, p: float, detail: str, place: Tested) -> Tested:
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


def order(claim: PaperClaim, facts: Facts) -> Tested:
    """Do the paper's own systems have the paper's order of mean accuracies?"""
    own = {ours: theirs.name for ours, theirs in facts.paper.systems.items() if not theirs.stands_in}
    table = facts.numbers.filter(place="Table 2", statistic="accuracy")
    theirs = {(row["system"], row["task"]): row["value"] for row in table.iter_rows(named=True)}
    mine = {(row["system"], row["task"]): row["accuracy"] for row in facts.tables.accuracy.iter_rows(named=True)}
    ranked = [name for name in own if any(system == own[name] for system, _ in theirs)]
    tasks = [
        task for task in facts.tasks(claim.tasks) if all((own[s], task) in theirs and (s, task) in mine for s in ranked)
    ]
    if len(ranked) < FEWEST_RANKED or not tasks:
        few = f"{len(ranked)} of the paper's own systems of Table 2 are in this study on the same tasks"
        return Tested(reason=f"{few}; fewer than {FEWEST_RANKED} cannot show an order")
    ours = {s: sum(mine[s, task] for task in tasks) / len(tasks) for s in ranked}
    tau = stats.kendalltau(list(ours.values()), [sum(theirs[own[s], task] for task in tasks) for s in ranked])
    shown = ", ".join(f"{name} {percent(ours[name])} %" for name in sorted(ours, key=lambda name: -ours[name]))
    return _ranked(claim, float(tau.statistic), float(tau.pvalue), shown, Tested(systems=ranked, tasks=tasks))


def reversal(claim: PaperClaim, facts: Facts) -> Tested:
    """Does noise turn the order of a speech LLM and a cascade that clean speech shows?"""
    table = facts.tables.ranking.filter(
        PICKS["speech_llm_and_cascade"](facts), pl.col("task").is_in(facts.tasks(claim.tasks))
    )
    looked, turned, kept = 0, [], []
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
            looked += 1
            ps = [p_of_interval(*_difference(each), 0.0, facts.confidence) or 0.0 for each in (clean, row)]
            name = f"{system} and {reference} on {task_title(str(task))}, {condition}"
            opposite = row["difference"] * clean["difference"] < 0
            turned += [(max(ps), name)] if opposite else []
            kept += [] if opposite else [max(ps)]
    if not looked:
        return Tested(reason=NOTHING)
    place = Tested(
        systems=table["system"].unique(maintain_order=True).to_list(),
        tasks=table["task"].unique(maintain_order=True).to_list(),
    )
    if turned:
        p, name = min(turned)
        many = f"{len(turned)} of {looked} comparisons in noise have another order than clean speech, first {name}"
        return replace(place, p=min(1.0, looked * p), supports=True, detail=f"{many} (p times {looked})")
    return replace(place, p=max(kept), supports=False, detail=f"none of {looked} comparisons has another order")


def _difference(row: Mapping[str, float]) -> Value:
    return Value(row["difference"], row["difference_low"], row["difference_high"])


TESTS: dict[str, Callable[[PaperClaim, Facts], Tested]] = {
    "mean": mean,
    "between_tasks": between_tasks,
    "between_systems": between_systems,
    "spread": spread,
    "gradient": gradient,
    "order": order,
    "reversal": reversal,
}
"""By the name that ``claims.yaml`` gives; ``all_of`` rests on the outcomes of others."""
