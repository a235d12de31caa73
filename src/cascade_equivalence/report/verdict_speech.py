"""What the numbers say about a speech LLM, in words, and about contrasts of two agreements."""

from dataclasses import dataclass

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.config.augmented import AugmentedSpec
from cascade_equivalence.config.study import GIVEN, E2ESpec, Typed
from cascade_equivalence.report.naming import HEARING, Outline
from cascade_equivalence.report.pair_tables import ceilings
from cascade_equivalence.report.prose import say
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_equivalence import judged

SENTENCES = "speech_llm.txt"


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
    mine = standing.pairs.filter(
        (pl.col("system") == name) | ((pl.col("reference") == name) & ~pl.col("system_kind").is_in(HEARING))
    )
    spec = standing.outline.systems[name]
    api = spec.model if isinstance(spec, ApiSpec) else None
    facts = {"api": api, "tasks": standing.tasks, "weak": weak, "compared": mine.height > 0}
    paragraphs = [say(SENTENCES, "standing", name=name, **facts)]
    if weak == standing.tasks:
        return paragraphs
    said: set[tuple[str, str]] = set()
    for (system, reference, match), part in mine.group_by("system", "reference", "match", maintain_order=True):
        other = str(reference if system == name else system)
        told = part.filter(pl.col("kappa").is_not_null() & ~pl.col("guesses"))
        who = f"{other} ({described(other, name, str(match), standing.outline)})"
        if not told.height:
            paragraphs.append(say(SENTENCES, "not_read", name=name, who=who))
            continue
        sentences = [say(SENTENCES, "agrees", name=name, who=who, rows=told.rows(named=True))]
        if match == "exact":
            tasks = told["task"].to_list()
            sentences.append(judged(standing.equivalence, str(system), str(reference), tasks))
            sentences += _against_ceilings(name, other, told, standing, said)
        paragraphs.append(" ".join(filter(None, sentences)))
    own = standing.contrasts.filter(pl.col("system") == name)
    for _, part in own.group_by("first", "second", maintain_order=True):
        paragraphs.append(contrast_sentence(part, standing.outline))
    return paragraphs


def described(other: str, name: str, match: str, outline: Outline) -> str:
    """What a system is, seen from another: whose LLM it has and what that reads."""
    spec, own = outline.systems[other], outline.systems[name]
    kind: str = spec.kind
    source = spec.asr if isinstance(spec, Typed) else spec.model
    if isinstance(spec, Typed) and source in GIVEN:
        kind, source = "given", GIVEN[source]
    elif isinstance(spec, Typed) and isinstance(own, E2ESpec) and source == own.model:
        kind = "own"
    # What it is told of the voice, and of whose.
    told = ("another clip" if spec.shuffled else "the clip") if isinstance(spec, AugmentedSpec) else None
    return say(SENTENCES, "system", kind=kind, match=match, name=name, source=source, told=told)


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
        pair = (str(system), str(reference))
        facts = {"rows": part.rows(named=True), "new": pair not in said, "places": places}
        said.add(pair)
        sentences.append(say(SENTENCES, "against_ceiling", name=name, system=system, reference=reference, **facts))
    return sentences


def _is_pair(name: str) -> pl.Expr:
    """Whether a row is of a pair that is written as ``one vs. other``, either way round."""
    one, other = name.split(" vs. ")
    there = (pl.col("system") == one) & (pl.col("reference") == other)
    return there | ((pl.col("system") == other) & (pl.col("reference") == one))


def _place(row: dict, ceiling: dict) -> str:
    """Where the interval of a pair lies beside that of a ceiling, by the words that the template has for it."""
    if row["kappa_low"] is None or ceiling["kappa_low"] is None:
        return "unknown"
    if row["kappa_high"] < ceiling["kappa_low"]:
        return "lower"
    return "higher" if row["kappa_low"] > ceiling["kappa_high"] else "overlaps"


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
        names = {name: row[name] for name in ("first", "second", "contrast")}
        return say(SENTENCES, "contrast_not_read", system=system, **names)
    rows = told.rows(named=True)
    more = [each for each in rows if each["agreements_differ"] and each["kappa_difference"] > 0]
    less = [each for each in rows if each["agreements_differ"] and each["kappa_difference"] < 0]
    confounded = row["match_first"] == "exact" != row["match_second"]
    found = {"more": more, "less": less, "unclear": [each for each in rows if each not in more + less]}
    found["understated"] = [each["task"] for each in more if confounded]
    return say(SENTENCES, "contrast", system=system, first=first, second=second, other=row["second"], **found)
