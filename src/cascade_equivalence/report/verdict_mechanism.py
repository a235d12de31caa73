"""Which of the paper's claims hold inside the opened models, in words, computed from the tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import E2ESpec, ImplicitSpec
from cascade_equivalence.report.display import NOT_RUN, Display
from cascade_equivalence.report.finding import LEVELS, Claim, Finding
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.outcomes import OUTCOMES
from cascade_equivalence.report.prose import inside
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_claims import corrected
from cascade_equivalence.report.verdict_erasure import TEXT_MARGIN
from cascade_equivalence.report.verdict_fall import MARGIN
from cascade_equivalence.report.verdict_inside import INSIDE_CLAIMS, Inside
from cascade_equivalence.report.verdict_probes import KAPPA_MARGIN
from cascade_equivalence.report.wording import listed


@dataclass(frozen=True)
class Sentence:
    """What became of a claim, on what.

    Attributes:
        outcome: One of ``OUTCOMES``.
        lead: What it is about, and why.
        details: The numbers it was judged by, with their controls; a task each, where there are tasks.
    """

    outcome: str
    lead: str
    details: Sequence[str]


@dataclass(frozen=True)
class Judgement:
    """One claim on one model, in sentences.

    Attributes:
        claim: The claim.
        sentences: An outcome, subject and reason each.
    """

    claim: Claim
    sentences: Sequence[Sentence]


@dataclass(frozen=True)
class Story:
    """What is told of one model.

    Attributes:
        model: The model.
        role: What it is in the study.
        judgements: Its claims, in the order of the report.
    """

    model: str
    role: str
    judgements: Sequence[Judgement]


def findings(tables: Tables, statistics: StatisticsConfig) -> list[Finding]:
    """Judge every claim on every opened model, as far as there is something to judge it by.

    All claims that are tested are one family, corrected for the study's false discovery rate.

    Args:
        tables: The tidy tables.
        statistics: Level of their intervals, false discovery rate of the claims.

    Returns:
        Findings by model in the order of the probes, then by claim.
    """
    found: list[Finding] = []
    for model in opened_models(tables):
        inside = Inside(tables, model, statistics.confidence)
        for each in INSIDE_CLAIMS.values():
            found += each.judge(inside)
    return corrected(found, statistics.fdr)


def claims() -> list[Claim]:
    """All claims on the inside of models, in the order of the report."""
    return [each.claim for each in INSIDE_CLAIMS.values()]


def opened_models(tables: Tables) -> list[str]:
    """Models that something is known of from inside, in the order of the tables."""
    held = (tables.probes, tables.lens, tables.sufficiency, tables.erasure, tables.erasers)
    return list(dict.fromkeys(model for table in held for model in table["model"]))


def stories(found: Sequence[Finding], outline: Outline) -> list[Story]:
    """Tell the findings model by model.

    Args:
        found: What ``findings`` gives.
        outline: What the systems are made of.

    Returns:
        A story a model: its claims, and under each a sentence for every outcome and subject.
    """
    speech = {spec.model for spec in outline.systems.values() if isinstance(spec, E2ESpec | ImplicitSpec)}
    told = []
    for model in dict.fromkeys(finding.model for finding in found):
        mine = [finding for finding in found if finding.model == model]
        judged = [
            Judgement(claim, _sentences([finding for finding in mine if finding.claim == claim]))
            for claim in claims()
            if any(finding.claim == claim for finding in mine)
        ]
        told.append(Story(model, "speech LLM" if model in speech else "control", judged))
    return told


def _sentences(found: Sequence[Finding]) -> list[Sentence]:
    """Findings of one claim in sentences; tasks with the same outcome for the same reason share one."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in sorted(found, key=lambda each: OUTCOMES.index(each.outcome)):
        groups.setdefault((finding.outcome, finding.subject, finding.why), []).append(finding)
    sentences = []
    for (outcome, subject, why), group in groups.items():
        reason = f": {why}" if why else ""
        if group[0].place:
            where = listed([each.place for each in group])
            details = [f"{each.place}: {each.numbers}." for each in group]
            sentences.append(Sentence(outcome, f"{subject} on {where}{reason}.", details))
        elif reason:
            sentences.append(Sentence(outcome, f"{subject}{reason}.", [f"{_capital(each.numbers)}." for each in group]))
        else:
            sentences += [Sentence(outcome, f"{subject}: {each.numbers}.", []) for each in group]
    return sentences


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def four_levels(found: Sequence[Finding]) -> Display:
    """The four levels of evidence side by side, a row a model.

    Args:
        found: What ``findings`` gives.

    Returns:
        Cells of outcomes by claim; the numbers are in the sentences.
    """
    rows = []
    for model in dict.fromkeys(finding.model for finding in found):
        cells = []
        for level in LEVELS:
            mine = [finding for finding in found if (finding.model, finding.claim.level) == (model, level)]
            lines = [_line(claim, [each for each in mine if each.claim == claim]) for claim in claims()]
            cells.append("\n".join(line for line in lines if line) or NOT_RUN)
        rows.append([model, *cells])
    return Display(
        name="levels",
        title="Four levels of evidence",
        columns=["Model", *(f"{level}: {question}" for level, question in LEVELS.items())],
        rows=rows,
        remarks=[
            inside("levels_judged"),
            inside("levels_margins", accuracy=MARGIN, kappa=KAPPA_MARGIN, text=TEXT_MARGIN),
            inside("levels_linear"),
        ],
        text_columns=1 + len(LEVELS),
    )


def _line(claim: Claim, found: Sequence[Finding]) -> str:
    """One claim's outcomes: on what it holds, on what not, and what cannot be told."""
    parts = []
    for outcome in OUTCOMES:
        mine = [each for each in found if each.outcome == outcome]
        subjects = list(dict.fromkeys(each.subject for each in mine))
        about: dict[tuple[str, ...], list[str]] = {}
        for subject in subjects:
            places = tuple(each.place or each.brief for each in mine if each.subject == subject)
            about.setdefault(places, []).append(subject)
        if about:
            said = (f"{', '.join(names)}: {', '.join(places)}" for places, names in about.items())
            parts.append(f"{outcome} ({'; '.join(said)})")
    return f"{claim.short}: {', '.join(parts)}" if parts else ""


def tally(found: Sequence[Finding]) -> Display:
    """How often each claim holds on each model, for the terminal."""
    groups: dict[tuple[str, str], list[str]] = {}
    order_of = claims()
    for finding in sorted(found, key=lambda each: order_of.index(each.claim)):
        groups.setdefault((finding.model, finding.claim.title), []).append(finding.outcome)
    order = list(dict.fromkeys(finding.model for finding in found))
    rows = [
        [model, claim, *(str(outcomes.count(outcome)) for outcome in OUTCOMES)]
        for (model, claim), outcomes in sorted(groups.items(), key=lambda group: order.index(group[0][0]))
    ]
    columns = ["Model", "Claim", *OUTCOMES]
    return Display("tally", "Inside the models: on how many probes, tasks and concepts", columns, rows, [], 2)
