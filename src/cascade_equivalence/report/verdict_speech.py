"""What the numbers say about a speech LLM, in words, and about contrasts of two agreements."""

from dataclasses import dataclass

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.config.study import GIVEN, E2ESpec, ImplicitSpec
from cascade_equivalence.report.naming import HEARING, Outline
from cascade_equivalence.report.pair_tables import ceilings
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_equivalence import judged
from cascade_equivalence.report.wording import kappa_on, listed, listed_tasks

OVERLAPS = "overlaps"
BACKBONES = {
    "exact": "the same LLM",
    "family": "an LLM of the same kind and shape",
    "none": "another LLM",
    "unknown": "an LLM that cannot be compared with its own",
}


@dataclass(frozen=True)
class Standing:
    """Results on clean speech, and who is above chance on what.

    Attributes:
        outline: Names, and what the systems are made of.
        tasks: Tasks of the study, in the reader's order.
        weak: (system, task) where the accuracy is not shown to be above chance; of open answers, above zero.
        pairs: Tidy agreement table, with ``guesses``: one of the two is weak.
        contrasts: Tidy contrasts table, with ``guesses``: one of the three is weak.
        equivalence: Tidy equivalence table.
    """

    outline: Outline
    tasks: list[str]
    weak: frozenset[tuple[str, str]]
    pairs: pl.DataFrame
    contrasts: pl.DataFrame
    equivalence: pl.DataFrame

    @classmethod
    def of(cls, tables: Tables, outline: Outline) -> "Standing":
        """Sort out who is above chance."""
        above = (
            pl.when(pl.col("chance").is_null())
            .then(pl.col("accuracy_low") > 0)
            .otherwise(pl.col("against_chance") == "above")
        )
        weak = frozenset(tables.accuracy.filter(~above.fill_null(False)).select("system", "task").iter_rows())
        return cls(
            outline,
            tables.accuracy["task"].unique(maintain_order=True).to_list(),
            weak,
            _with_guesses(tables.agreement, weak, "system", "reference"),
            _with_guesses(tables.contrasts, weak, "system", "first", "second"),
            tables.equivalence,
        )


def _with_guesses(table: pl.DataFrame, weak: frozenset[tuple[str, str]], *arms: str) -> pl.DataFrame:
    clean = table.filter(pl.col("condition") == CLEAN)
    guesses = [any((row[arm], row["task"]) in weak for arm in arms) for row in clean.iter_rows(named=True)]
    return clean.with_columns(guesses=pl.Series(guesses, dtype=pl.Boolean))


def speech_llm(name: str, standing: Standing) -> list[str]:
    """Say how a speech LLM stands to the cascades it is compared with.

    Args:
        name: The system.
        standing: Results on clean speech.

    Returns:
        Paragraphs: where it is above chance; its agreement with each system where both are, against the ceilings; its
        contrasts.
    """
    weak = [task for task in standing.tasks if (name, task) in standing.weak]
    what = f"{name} is a speech LLM{_behind(name, standing.outline)}"
    if len(weak) == len(standing.tasks):
        return [
            f"{what} and shown to be above chance on no task, so its agreement with other systems says nothing about "
            "how it works: it can show shared habits of guessing."
        ]
    paragraphs = [f"{what}."]
    if weak:
        paragraphs[0] += (
            f" On {listed_tasks(weak)} it is not shown to be above chance, and its agreement there says "
            "nothing about how it works."
        )
    mine = standing.pairs.filter(
        (pl.col("system") == name) | ((pl.col("reference") == name) & ~pl.col("system_kind").is_in(HEARING))
    )
    if not mine.height:
        paragraphs[0] += " It is compared with no other system."
    said: set[tuple[str, str]] = set()
    for (system, reference, match), part in mine.group_by("system", "reference", "match", maintain_order=True):
        other = str(reference if system == name else system)
        told = part.filter(pl.col("kappa").is_not_null() & ~pl.col("guesses"))
        who = f"{other} ({described(other, name, str(match), standing.outline)})"
        if not told.height:
            paragraphs.append(
                f"On no task are both {name} and {who} shown to be above chance, so their agreement is not read."
            )
            continue
        sentences = [f"{name} agrees with {who} with κ = {_kappas(told)}."]
        if match == "exact":
            tasks = told["task"].to_list()
            sentences.append(judged(standing.equivalence, str(system), str(reference), tasks))
            sentences += _against_ceilings(name, other, told, standing, said)
        paragraphs.append(" ".join(filter(None, sentences)))
    own = standing.contrasts.filter(pl.col("system") == name)
    for _, part in own.group_by("first", "second", maintain_order=True):
        paragraphs.append(contrast_sentence(part, standing.outline))
    return paragraphs


def _behind(name: str, outline: Outline) -> str:
    """What else is to be said of a speech LLM that nobody can open."""
    spec = outline.systems[name]
    return f" behind an API ({spec.model}), so whose LLM it has is not known" if isinstance(spec, ApiSpec) else ""


def _kappas(rows: pl.DataFrame) -> str:
    return listed([kappa_on(row) for row in rows.iter_rows(named=True)])


def described(other: str, name: str, match: str, outline: Outline) -> str:
    """What a system is, seen from another: whose LLM it has and what that reads."""
    spec, own = outline.systems[other], outline.systems[name]
    backbone = BACKBONES[match]
    if isinstance(spec, ApiSpec | ImportedSpec):
        where = "behind an API, a speech LLM whose LLM" if isinstance(spec, ApiSpec) else "elsewhere, whose inside"
        return f"{spec.model} {where} is not known"
    if isinstance(spec, E2ESpec):
        return f"a speech LLM with {backbone}"
    if spec.asr in GIVEN:
        return f"{backbone} reading {GIVEN[spec.asr]}"
    if isinstance(spec, ImplicitSpec):
        return f"{backbone} reading the text on the last layer of {spec.model}"
    if isinstance(own, E2ESpec) and spec.asr == own.model:
        return f"{backbone} reading {name}'s own transcription"
    return f"{backbone} reading the transcript of {spec.asr}"


def _against_ceilings(
    name: str, other: str, told: pl.DataFrame, standing: Standing, said: set[tuple[str, str]]
) -> list[str]:
    """A sentence on each ceiling that a matched cascade is part of; its values only if they were not said before."""
    tops = ceilings(standing.pairs).filter(pl.col("kappa").is_not_null() & ~pl.col("guesses"))
    tops = tops.filter((pl.col("system") == other) | (pl.col("reference") == other))
    tops = tops.filter(pl.col("task").is_in(told["task"].to_list()))
    # A ceiling that the verdict has set the pair against needs no comparison of two intervals as well.
    own = standing.equivalence.filter(_is_pair(f"{name} vs. {other}"))
    settled = own["ceiling"].drop_nulls().unique().to_list()
    tops = tops.filter(~pl.any_horizontal(pl.lit(False), *(_is_pair(name) for name in settled)))
    mine = {row["task"]: row for row in told.iter_rows(named=True)}
    sentences = []
    for (system, reference), part in tops.group_by("system", "reference", maintain_order=True):
        places: dict[str, list[str]] = {}
        for row in part.iter_rows(named=True):
            places.setdefault(_place(mine[row["task"]], row), []).append(row["task"])
        where = listed([f"{place} on {listed_tasks(tasks)}" for place, tasks in places.items()])
        pair = (str(system), str(reference))
        values = "" if pair in said else f", κ = {_kappas(part)}"
        said.add(pair)
        caution = "; overlap shows neither a difference nor equality" if OVERLAPS in places else ""
        sentences.append(
            f"Against the ceiling of {system} and {reference}, one LLM and two transcripts{values}, the interval of "
            f"{name}'s κ {where}{caution}."
        )
    return sentences


def _is_pair(name: str) -> pl.Expr:
    """Whether a row is of a pair that is written as ``one vs. other``, either way round."""
    one, other = name.split(" vs. ")
    there = (pl.col("system") == one) & (pl.col("reference") == other)
    return there | ((pl.col("system") == other) & (pl.col("reference") == one))


def _place(row: dict, ceiling: dict) -> str:
    if row["kappa_low"] is None or ceiling["kappa_low"] is None:
        return "cannot be placed"
    if row["kappa_high"] < ceiling["kappa_low"]:
        return "lies lower"
    return "lies higher" if row["kappa_low"] > ceiling["kappa_high"] else OVERLAPS


def contrast_sentence(part: pl.DataFrame, outline: Outline) -> str:
    """Say whether a system agrees more with one reference than with another, where all three are above chance.

    Args:
        part: Rows of one contrast, with ``guesses``.
        outline: What the systems are made of.

    Returns:
        One or two sentences; a difference counts as shown after correction for the number of contrasts.
    """
    row = part.row(0, named=True)
    system = row["system"]
    first, second = (
        f"{row[which]} ({described(row[which], system, row[f'match_{which}'], outline)})"
        for which in ("first", "second")
    )
    told = part.filter(pl.col("kappa_difference").is_not_null() & ~pl.col("guesses"))
    if not told.height:
        return (
            f"On no task are {system}, {row['first']} and {row['second']} all shown to be above chance, so the "
            f"difference of its two agreements ({row['contrast']}) is not read."
        )
    rows = list(told.iter_rows(named=True))
    shown = [each for each in rows if each["agreements_differ"]]
    more = [each for each in shown if each["kappa_difference"] > 0]
    less = [each for each in shown if each["kappa_difference"] < 0]
    unclear = [each for each in rows if each not in shown]

    def differences(found: list[dict]) -> str:
        return listed([kappa_on(each, "kappa_difference", signed=True) for each in found])

    clauses = []
    if more:
        clauses.append(f"{system} agrees more with {first} than with {second}: κ differs by {differences(more)}.")
    if less:
        clauses.append(f"{system} agrees less with {first} than with {second}: κ differs by {differences(less)}.")
    if unclear:
        between = "" if shown else f" between {system}'s agreement with {first} and with {second}"
        clauses.append(
            f"No difference{between} is shown where κ differs by {differences(unclear)}, which does not prove that "
            "there is none."
        )
    if more and row["match_first"] == "exact" != row["match_second"]:
        tasks = listed_tasks([each["task"] for each in more])
        clauses.append(
            f"So on {tasks} a comparison with {row['second']} alone would have understated how far {system} answers "
            "as a cascade does."
        )
    return " ".join(clauses)
