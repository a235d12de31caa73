"""The estimates of a study's tables that claims are about, and several of them as one, from values and limits alone.

Tasks have other items, so their estimates are independent: reaches (value to limit) combine as the root of their sum of
squares. Systems answer the same items, so theirs are not, and their correlation is in no table: reaches are averaged,
which is right where the correlation is 1 and cautious otherwise. A difference of two estimates of the same items is
taken as one of independent ones, cautious as long as the two do not move against each other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.config.study import ORACLE
from cascade_equivalence.report.chance import standing, worst
from cascade_equivalence.report.claims_paper import PICKS, ClaimRows, Pick
from cascade_equivalence.report.naming import CASCADE, HEARING
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.stats.equivalence import p_of_interval
from cascade_equivalence.stats.intervals import recovered

METHOD = (
    "from the tables' estimates: tasks as independent, systems on the same items as fully dependent, differences of "
    "estimates of the same items as independent"
)


class Value(NamedTuple):
    """An estimate with its limits.

    Attributes:
        value: The value.
        low: Lower limit.
        high: Upper limit.
    """

    value: float
    low: float
    high: float

    def negative(self) -> "Value":
        """Its negative, the limits turned round."""
        return Value(0.0 - self.value, 0.0 - self.high, 0.0 - self.low)

    def minus(self, other: "Value | float") -> "Value":
        """Minus another estimate, or a number."""
        if not isinstance(other, Value):
            return Value(self.value - other, self.low - other, self.high - other)
        low, high = recovered((self.value, other.value), (self[1:], other[1:]), 0.0)
        return Value(self.value - other.value, low, high)


def independent(values: Sequence[Value]) -> Value:
    """The mean of estimates on other items."""
    return _mean(values, lambda reaches: float(np.sqrt(np.sum(np.square(reaches)))))


def dependent(values: Sequence[Value]) -> Value:
    """The mean of estimates on the same items."""
    return _mean(values, lambda reaches: float(np.sum(reaches)))


def _mean(values: Sequence[Value], total: Callable[[list[float]], float]) -> Value:
    mean = float(np.mean([each.value for each in values]))
    down, up = [each.value - each.low for each in values], [each.high - each.value for each in values]
    return Value(mean, mean - total(down) / len(values), mean + total(up) / len(values))


PAPERS_SNR = 0.0
"""The paper's most babble, in dB."""
EXACT, OTHERS = "exact", ("none", "family")
ARMS = ("system", "reference", "first", "second")
"""Columns that name the systems of a row."""


@dataclass(frozen=True)
class Measured:
    """One estimate.

    Attributes:
        who: A system, or the systems compared.
        model: The speech LLM that it is about, where there is one.
        task: The task.
        found: Value and limits; None where one of them is missing.
        reason: Why.
        against: What the value is held against, of claims whose bound is a column.
        standing: How the systems stand to chance, see ``chance.worst``.
    """

    who: str
    model: str | None
    task: str
    found: Value | None
    reason: str | None
    against: float | None
    standing: str

    @property
    def above(self) -> Value:
        """The value above what it is held against; only where both are there."""
        assert self.found is not None and self.against is not None
        return self.found.minus(self.against)


@dataclass(frozen=True)
class Facts:
    """A study as the claims see it.

    Attributes:
        tables: The tidy tables.
        sufficient: Of each task, whether the words are taken to hold what the label depends on.
        labels: Closed label set of each task; empty for open answers.
        paper: Which systems are the paper's.
        numbers: The paper's numbers.
        confidence: Level of the tables' intervals.
    """

    tables: Tables
    sufficient: Mapping[str, bool]
    labels: Mapping[str, Sequence[str]]
    paper: PaperConfig
    numbers: pl.DataFrame
    confidence: float

    @cached_property
    def speech_llms(self) -> dict[str, str]:
        """Systems that hear the audio themselves, and their models."""
        return self._systems(pl.col("kind").is_in(HEARING), "model")

    @cached_property
    def cascades(self) -> list[str]:
        """Cascades whose transcript comes from a recogniser: neither the true text nor a speech LLM's own."""
        own = [ORACLE, *self.speech_llms.values()]
        return list(self._systems((pl.col("kind") == CASCADE) & ~pl.col("asr").is_in(own), "asr"))

    def _systems(self, chosen: pl.Expr, column: str) -> dict[str, str]:
        return dict(
            self.tables.accuracy.filter(chosen).select("system", column).unique(maintain_order=True).iter_rows()
        )

    @cached_property
    def _standings(self) -> dict[tuple[str, str, str], str | None]:
        columns = ("system", "task", "condition", "against_chance")
        rows = pl.concat([table.select(columns) for table in (self.tables.noise, self.tables.accuracy)]).iter_rows()
        return {(system, task, condition): standing(found) for system, task, condition, found in rows}

    def standing(self, systems: Collection[str], task: str, conditions: Collection[str]) -> str:
        """How some systems together stand to chance on a task: whatever was measured of them rests on that.

        Args:
            systems: The systems.
            task: The task.
            conditions: The conditions that they were heard in.
        """
        return worst(self._standings.get((who, task, heard)) for who in systems for heard in conditions)

    def p(self, found: Value) -> float:
        """Two-sided p of an estimate against 0."""
        p = p_of_interval(*found, 0.0, self.confidence)
        assert p is not None
        return p

    def tasks(self, asked: str | Collection[str]) -> list[str]:
        """The tasks with closed answers of a kind, or of some names."""
        closed = [task for task in self.tables.accuracy["task"].unique(maintain_order=True) if self.labels[task]]
        if asked == "closed":
            return closed
        if isinstance(asked, str):
            return [task for task in closed if self.sufficient[task] == (asked == "text_sufficient")]
        return [task for task in closed if task in asked]


def _pair(facts: Facts) -> pl.Expr:
    speech, cascades = list(facts.speech_llms), facts.cascades
    one, two = pl.col("system"), pl.col("reference")
    return (one.is_in(speech) & two.is_in(cascades)) | (one.is_in(cascades) & two.is_in(speech))


def _confound(facts: Facts) -> pl.Expr:
    first, second = pl.col("match_first"), pl.col("match_second")
    turned = ((first == EXACT) & second.is_in(OTHERS)) | ((second == EXACT) & first.is_in(OTHERS))
    read = pl.col("first").is_in(facts.cascades) & pl.col("second").is_in(facts.cascades)
    return pl.col("system").is_in(list(facts.speech_llms)) & read & turned


def _ceilings(facts: Facts) -> pl.Expr:
    both = pl.col("system").is_in(facts.cascades) & pl.col("reference").is_in(facts.cascades)
    return both & (pl.col("match") == EXACT)


KIND = Pick
OWN = (
    Pick("speech_llm_and_cascade", _pair),
    Pick("matched", lambda _: pl.col("match") == EXACT),
    Pick("mismatched", lambda _: pl.col("match").is_in(OTHERS)),
    Pick("ceilings", _ceilings),
    Pick("informative", lambda _: pl.col("overlap_informative")),
    Pick("matched_and_mismatched", _confound),
    Pick("cascades", lambda facts: pl.col("system").is_in(facts.cascades)),
    Pick("speech_llms", lambda facts: pl.col("system").is_in(list(facts.speech_llms))),
)
"""Choices of rows, by the names that claims give them."""
FIRST: dict[str, Callable[[Facts, Mapping[str, Any]], bool]] = {
    "speech_llms": lambda facts, row: row["system"] in facts.speech_llms,
    "matched": lambda _, row: row["match_first"] == EXACT,
}
"""Whether what a difference is to be of stands first in it."""


def measured(rows: ClaimRows, tasks: Collection[str], facts: Facts, against: float | str) -> list[Measured]:
    """The estimates that a claim names.

    Args:
        rows: Table, column and rows.
        tasks: Tasks that count.
        facts: The study.
        against: A number, or the column (with a ``-`` for its negative) that each value is held against.
    """
    table = facts.tables[TABLES.find(rows.table).name].filter(pl.col("task").is_in(list(tasks)))
    table = table.filter(_condition(table, rows.condition), *(PICKS.find(name).rows(facts) for name in rows.pick))
    return [_measured(row, rows, facts, against) for row in table.iter_rows(named=True)]


def _condition(table: pl.DataFrame, asked: str) -> pl.Expr:
    if asked == CLEAN:
        return pl.col("condition") == CLEAN
    levels = table.filter(noise="babble")["snr_db"].unique().to_list()
    level = PAPERS_SNR if PAPERS_SNR in levels else min(levels, default=PAPERS_SNR)
    return (pl.col("noise") == "babble") & (pl.col("snr_db") == level)


def _measured(row: Mapping[str, Any], rows: ClaimRows, facts: Facts, against: float | str) -> Measured:
    value, low, high = (row[f"{rows.value}{end}"] for end in ("", "_low", "_high"))
    found = None if value is None or low is None or high is None else Value(value, low, high)
    if found and rows.toward and not FIRST[rows.toward](facts, row):
        found = found.negative()
    bound = row[against.removeprefix("-")] if isinstance(against, str) else against
    if bound is not None and isinstance(against, str) and against.startswith("-"):
        bound = -bound
    names = (f"{rows.value}_reason", f"{rows.value.split('_')[0]}_reason", "induced_reason", "reason")
    reason = next((row[name] for name in names if row.get(name)), "there is no interval")
    who = [row[name] for name in ARMS if row.get(name)]
    heard = [name for name in who if name in facts.speech_llms]
    # A change starts from clean speech.
    heard_in = (CLEAN, row["condition"]) if rows.table == "noise" else (row["condition"],)
    return Measured(
        " ~ ".join(who),
        facts.speech_llms[heard[0]] if heard else None,
        row["task"],
        found,
        None if found else str(reason),
        bound,
        facts.standing(who, row["task"], heard_in),
    )
