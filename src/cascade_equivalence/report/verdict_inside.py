"""Claims on the inside of opened models: each is an object with what judges it, and can be added from outside."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from cascade_equivalence.registry import Registry
from cascade_equivalence.report.finding import Claim, Finding
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_fall import Erasures


@dataclass(frozen=True)
class Inside:
    """What a study knows of the inside of one opened model.

    Attributes:
        tables: The tidy tables.
        model: The model.
        confidence: Level of the tables' intervals.
    """

    tables: Tables
    model: str
    confidence: float

    @cached_property
    def erasures(self) -> Erasures | None:
        """What it answered under erasure; None where nothing was erased in it."""
        tables = self.tables
        if self.model not in tables.erasure["model"]:
            return None
        return Erasures.of(tables.erasure, tables.erasure_controls, tables.erasers, self.model, self.confidence)


@dataclass(frozen=True)
class InsideClaim:
    """A claim, and what judges it.

    Attributes:
        claim: The claim.
        judge: What is found of it on one model: nothing where there is nothing to judge it by.
    """

    claim: Claim
    judge: Callable[[Inside], Iterable[Finding]]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.claim.name


INSIDE_CLAIMS: Registry[InsideClaim] = Registry("inside claim", home="cascade_equivalence.report.verdict_registry")
"""In the order of the report."""
