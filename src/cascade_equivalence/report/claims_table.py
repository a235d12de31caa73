"""The paper's claims judged on a study: tidy columns (results/claims.csv), and as a reader sees them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.chance import ABOVE, NOT_ABOVE, UNCLEAR
from cascade_equivalence.report.claims_paper import ALL_OF, CLAIM_TESTS, PaperClaim, missing_parts
from cascade_equivalence.report.claims_rows import METHOD, Facts, Value
from cascade_equivalence.report.claims_tested import ClaimResult
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import (
    UNDEFINED,
    Display,
    decimal,
    interval,
    p_value,
    percent,
    points,
    points_interval,
)
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.wording import counted, listed_tasks
from cascade_equivalence.stats.mcnemar import adjust

SCHEMA: Schema = {
    "claim": pl.String,
    "section": pl.String,
    "title": pl.String,
    "outcome": pl.String,
    "sentence": pl.String,
    **estimate_schema("value"),
    "unit": pl.String,
    "against": pl.Float64,
    "expected": pl.String,
    "smallest": pl.Float64,
    "p": pl.Float64,
    "p_adjusted": pl.Float64,
    "test": pl.String,
    "systems": pl.Int64,
    "tasks": pl.String,
    "estimates": pl.Int64,
    "at_chance": pl.Int64,
    "chance_unclear": pl.Int64,
    "detail": pl.String,
    "reason": pl.String,
    "paper_says": pl.String,
    "judged_on": pl.String,
}
"""One row a claim. ``value`` is held ``against`` a bound on the side that is ``expected``; a claim whose interval shows
less than ``smallest`` does not hold. ``systems``: how many systems, or systems compared, it rests on; ``at_chance``:
how many of its ``estimates`` rest on a system that is not above chance; ``chance_unclear``: how many on one of which
there are too few texts to tell. ``p_adjusted``: over all claims of the study."""


GUESSED = "it rests on nothing but systems that are not shown to be above chance"


def claims_table(
    claims: Sequence[PaperClaim],
    tables: Tables,
    *,
    sufficient: Mapping[str, bool],
    labels: Mapping[str, Sequence[str]],
    paper: PaperConfig | None,
    numbers: pl.DataFrame,
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    """Judge the paper's claims on a study.

    Args:
        claims: The claims, in the order of the rows.
        tables: The tidy tables.
        sufficient: Of each task, whether the words are taken to hold what the label depends on.
        labels: Closed label set of each task; empty for open answers.
        paper: Which systems are the paper's.
        numbers: The paper's numbers.
        statistics: Level of the intervals, false discovery rate of the claims.

    Returns:
        Table with the columns ``SCHEMA``.

    Raises:
        StudyError: A claim is made of one that does not stand before it.
    """
    if told := missing_parts(claims):
        raise StudyError(told)
    facts = Facts(tables, sufficient, labels, paper or PaperConfig(), numbers, statistics.confidence)
    tested = {
        claim.id: ClaimResult() if claim.test == ALL_OF else CLAIM_TESTS.find(claim.test).judge(claim, facts)
        for claim in claims
    }
    adjusted = dict(zip(tested, adjust([each.p for each in tested.values()]), strict=True))
    outcomes: dict[str, str] = {}
    rows = []
    for claim in claims:
        one, p = tested[claim.id], adjusted[claim.id]
        if claim.test == ALL_OF:
            one, outcomes[claim.id] = _together(claim, outcomes, claims)
            parts = [tested[part] for part in claim.parts]
            tested[claim.id] = one = replace(one, standings=[each for part in parts for each in part.standings])
        else:
            outcomes[claim.id] = _outcome(claim, one, p, statistics.fdr)
            if outcomes[claim.id] == UNTOLD and not one.reason:
                one = replace(one, reason=GUESSED if _guessed(claim, one) else _open(one, p, statistics))
        rows.append(_row(claim, one, p, outcomes[claim.id]))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def asked(claims: Iterable[PaperClaim], tables: Tables) -> list[PaperClaim]:
    """The claims that a study is asked: without those that need a table which has no row in it."""
    return [claim for claim in claims if claim.needs is None or tables[claim.needs].height]


def _outcome(claim: PaperClaim, tested: ClaimResult, p: float | None, fdr: float) -> str:
    if p is None or tested.supports is None or _guessed(claim, tested):
        return UNTOLD
    if claim.smallest is not None and tested.found is not None:
        # Less than what counts, shown or not.
        most = tested.found.high if claim.expect == "above" else -tested.found.low
        if (most if tested.most is None else tested.most) < claim.smallest:
            return FAILS
    if p <= fdr:
        # Shown, on one side or the other; limits of an interval say the same as p, before p is corrected.
        return HOLDS if tested.supports else FAILS
    return UNTOLD


def _guessed(claim: PaperClaim, tested: ClaimResult) -> bool:
    """Whether all that it rests on may be habits of guessing."""
    return claim.on_likeness and bool(tested.standings) and ABOVE not in tested.standings


def _open(tested: ClaimResult, p: float | None, statistics: StatisticsConfig) -> str:
    if p is None or tested.p is None:
        return "there is no test of it"
    if tested.p <= statistics.fdr:
        return f"shown alone (p {p_value(tested.p)}), but not among all claims (adjusted {p_value(p)})"
    return f"neither it nor its opposite is shown (adjusted p {p_value(p)})"


def _together(claim: PaperClaim, outcomes: Mapping[str, str], claims: Sequence[PaperClaim]) -> tuple[ClaimResult, str]:
    titles = {each.id: each.title for each in claims}
    found = {part: outcomes[part] for part in claim.parts}
    detail = "; ".join(f"{titles[part]}: {outcome}" for part, outcome in found.items())
    failed = [titles[part] for part, outcome in found.items() if outcome == FAILS]
    untold = [titles[part] for part, outcome in found.items() if outcome == UNTOLD]
    if failed:
        return ClaimResult(detail=detail, reason=f"what does not hold: {', '.join(failed)}"), FAILS
    if untold:
        return ClaimResult(detail=detail, reason=f"what cannot be told: {', '.join(untold)}"), UNTOLD
    return ClaimResult(detail=detail), HOLDS


def _row(claim: PaperClaim, tested: ClaimResult, p: float | None, outcome: str) -> dict[str, Any]:
    found = tested.found.minus(-tested.against) if tested.found else None
    value = found.value if found else tested.value
    words = {
        "value": shown(claim.unit, value, found),
        "against": shown(claim.unit, tested.against, None),
        "smallest": shown(claim.unit, claim.smallest, None),
        "p": p_value(p),
        "systems": counted(len(tested.systems), "system"),
        "tasks": listed_tasks(list(tested.tasks)) if tested.tasks else "no task",
        "detail": tested.detail,
        "reason": tested.reason,
    }
    sentence = {HOLDS: claim.holds, FAILS: claim.fails, UNTOLD: claim.untold}[outcome].format(**words).strip(" .")
    return {
        "claim": claim.id,
        "section": claim.section,
        "title": claim.title,
        "outcome": outcome,
        "sentence": f"{sentence}. {tested.chances()}".rstrip(),
        "value": value,
        "value_low": found.low if found else None,
        "value_high": found.high if found else None,
        "unit": claim.unit,
        "against": None if value is None else tested.against,
        "expected": claim.expect,
        "smallest": claim.smallest,
        "p": tested.p,
        "p_adjusted": p,
        "test": claim.test,
        "systems": len(tested.systems),
        "tasks": ", ".join(tested.tasks) or None,
        "estimates": len(tested.standings),
        "at_chance": tested.standings.count(NOT_ABOVE),
        "chance_unclear": tested.standings.count(UNCLEAR),
        "detail": tested.detail or None,
        "reason": tested.reason or None,
        "paper_says": claim.says,
        "judged_on": claim.judged_on,
    }


def shown(unit: str, value: float | None, found: Value | None) -> str:
    """A value of a claim as a reader sees it, with its interval where it has one."""
    if value is None:
        return UNDEFINED
    ends = (None, None) if found is None else found[1:]
    if unit == "points":
        return points(value) if found is None else points_interval(value, *ends)
    if unit == "share":
        low, high = ends
        limits = "" if low is None else f" [{percent(low)}, {percent(high)}]"
        return f"{percent(value)} %{limits}"
    return decimal(value) if found is None else interval(value, *ends)


def display(table: pl.DataFrame, confidence: float) -> Display:
    """The paper's claims on this study, in the paper's order.

    Args:
        table: What ``claims_table`` gives.
        confidence: Level of the intervals.
    """
    rows = [
        [
            row["title"],
            row["outcome"],
            row["sentence"],
            shown(row["unit"], row["value"], None if row["value_low"] is None else _found(row)),
            p_value(row["p_adjusted"]),
            ", ".join(task_title(task) for task in (row["tasks"] or "").split(", ") if task),
            row["paper_says"],
            row["section"],
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="paper_claims",
        title="The paper's claims, on this study",
        columns=[
            "Claim",
            "Outcome",
            "What this study says",
            f"Value [{confidence:.0%}]",
            "p adjusted",
            "Tasks",
            "What the paper says",
            "Section",
        ],
        rows=rows,
        remarks=[
            "A claim holds, or does not hold, where a test shows it, corrected over all claims of the study "
            "(Benjamini-Hochberg); it does not hold, either, where the interval shows that there is less of it than "
            "would count. Everything else cannot be told.",
            f"Values over tasks and systems are combined {METHOD}. They are about the systems and tasks of this study: "
            "neither is a sample of others.",
            *_chances(table),
            "Claims on the inside of models are judged model by model, further below.",
        ],
        text_columns=3,
    )


def _found(row: Mapping[str, Any]) -> Value:
    return Value(row["value"], row["value_low"], row["value_high"])


def _chances(table: pl.DataFrame) -> list[str]:
    if not table.filter((pl.col("at_chance") > 0) | (pl.col("chance_unclear") > 0)).height:
        return []
    return [
        "Where an estimate rests on a system that is not above chance, it may show habits of guessing; where there are "
        "too few texts to tell, it may, too."
    ]
