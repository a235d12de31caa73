"""What is claimed of systems, as data: what is judged, how, and in which words; the paper's are in a file.

A claim is an object in ``CLAIMS``. What it names, a test and choices of rows, are objects in ``CLAIM_TESTS`` and
``PICKS``; all three can be added to from outside.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.errors import StudyError
from cascade_equivalence.registry import Registry
from cascade_equivalence.report.table import TABLES

if TYPE_CHECKING:
    import polars as pl

    from cascade_equivalence.report.claims_rows import Facts
    from cascade_equivalence.report.claims_tested import ClaimResult

PLACEHOLDERS = ("value", "against", "smallest", "p", "systems", "tasks", "detail", "reason")
"""What the sentences of a claim may name in braces."""


OF_ACCURACY = frozenset({"accuracy", "accuracy_difference", "accuracy_slope", "accuracy_away", "change"})
"""Values of rows that say how many answers are right; all others say which answers two systems share."""


class ClaimRows(Closed):
    """Which estimates of the tidy tables a claim is about."""

    table: str = Field(description="Name of a table with a row a task and condition.")
    value: str = Field(description="Column with the value; its limits are in `{value}_low` and `{value}_high`.")
    pick: list[str] = Field(default=[], description="Names of choices of rows, all of which have to apply.")
    condition: Literal["clean", "most_babble"] = "clean"
    toward: Literal["speech_llms", "matched"] | None = Field(
        default=None,
        description="Which of the two compared comes first in a difference; turned round where it does not.",
    )

    @model_validator(mode="after")
    def _known(self) -> "ClaimRows":
        columns = _columns(self.table)
        asked = [*(f"{self.value}{end}" for end in ("", "_low", "_high")), "task", "condition"]
        if missing := [name for name in asked if name not in columns]:
            raise ValueError(f"the table {self.table} has no {', '.join(missing)}")
        if unknown := [name for name in self.pick if name not in PICKS]:
            raise ValueError(f"there is no choice of rows {', '.join(unknown)}; there are {', '.join(PICKS)}")
        return self


def _columns(table: str) -> list[str]:
    if table not in TABLES:
        raise ValueError(f"there is no table {table}; there are {', '.join(TABLES)}")
    return list(TABLES[table].schema)


class PaperClaim(Closed):
    """One claim, of the paper or of one's own."""

    id: str
    section: str = Field(description="Where the paper says it.")
    title: str = Field(description="The claim in a few words.")
    says: str = Field(description="What the paper says, in plain English, with its numbers.")
    judged_on: str = Field(description="Tables, systems, tasks and conditions, in words.")
    test: str = Field(description="A name in `CLAIM_TESTS`, or `all_of`.")
    rows: ClaimRows | None = None
    second: ClaimRows | None = Field(default=None, description="What `between_systems` takes away.")
    tasks: Literal["closed", "text_sufficient", "text_insufficient"] | list[str] = "closed"
    trait: Literal["pitch_loss", "lens_precision", "surplus"] | None = Field(
        default=None, description="What `gradient` sets the rows against; a surplus is one of tasks, others of models."
    )
    parts: list[str] = Field(default=[], description="Claims that `all_of` is made of.")
    needs: str | None = Field(
        default=None, description="A table: studies in which it has no row are not asked. None asks every study."
    )
    expect: Literal["above", "below"] = "above"
    against: float | str = Field(default=0.0, description="A number, or a column of the rows; a `-` turns its sign.")
    smallest: float | None = Field(
        default=None, ge=0, description="Where the interval shows less than this, the claim does not hold."
    )
    unit: Literal["kappa", "share", "ratio", "points", "correlation"] = "kappa"
    holds: str
    fails: str
    untold: str

    @property
    def name(self) -> str:
        """What it is called in ``CLAIMS``."""
        return self.id

    @property
    def on_likeness(self) -> bool:
        """Whether it is judged on which answers systems share: of systems that guess, habits of guessing."""
        return self.rows is not None and self.rows.value not in OF_ACCURACY

    @model_validator(mode="after")
    def _complete(self) -> "PaperClaim":
        for sentence in (self.holds, self.fails, self.untold):
            try:
                sentence.format(**dict.fromkeys(PLACEHOLDERS, ""))
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(
                    f"the sentence {sentence!r} names {error}; it may name {', '.join(PLACEHOLDERS)}"
                ) from error
        if self.test != ALL_OF and self.test not in CLAIM_TESTS:
            raise ValueError(f"there is no test {self.test}; there are {', '.join((*CLAIM_TESTS, ALL_OF))}")
        if (self.test == ALL_OF) != bool(self.parts):
            raise ValueError(f"a claim that has parts has the test {ALL_OF}, and no other has")
        if self.test != ALL_OF and CLAIM_TESTS[self.test].of_rows and self.rows is None:
            raise ValueError(f"the test {self.test} needs rows")
        if self.needs is not None:
            _columns(self.needs)
        if self.rows is not None and isinstance(self.against, str):
            column = self.against.removeprefix("-")
            if column not in _columns(self.rows.table):
                raise ValueError(f"the table {self.rows.table} has no {column}, which the claim is held against")
        return self


@dataclass(frozen=True)
class Pick:
    """A choice of rows.

    Attributes:
        name: What claims call it.
        rows: Which rows of a table, given the study.
    """

    name: str
    rows: "Callable[[Facts], pl.Expr]"


@dataclass(frozen=True)
class ClaimTest:
    """A way to judge claims.

    Attributes:
        name: What claims call it.
        judge: What the study says of a claim.
        of_rows: Whether a claim has to say which rows it is about.
    """

    name: str
    judge: "Callable[[PaperClaim, Facts], ClaimResult]"
    of_rows: bool = True


CLAIMS: Registry[PaperClaim] = Registry("claim", home="cascade_equivalence.report.claims_registry")
"""All claims on systems, in the order in which they are judged and shown."""
CLAIM_TESTS: Registry[ClaimTest] = Registry("claim test", home="cascade_equivalence.report.claims_tests")
PICKS: Registry[Pick] = Registry("row choice", home="cascade_equivalence.report.claims_rows")
ALL_OF = "all_of"
"""The test of a claim that is made of others."""


def new_claim(**facts: Any) -> PaperClaim:
    """Make a claim, for ``CLAIMS``.

    Raises:
        StudyError: It lacks or misnames something.
    """
    try:
        return PaperClaim.model_validate(facts)
    except ValidationError as error:
        raise StudyError(f"the claim {facts.get('id')!r}: {_first(error)}") from error


class Claims(Closed):
    """The file."""

    claims: list[PaperClaim]

    @model_validator(mode="after")
    def _known(self) -> "Claims":
        names = [claim.id for claim in self.claims]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two claims are called {', '.join(twice)}")
        if told := missing_parts(self.claims):
            raise ValueError(told)
        return self


def missing_parts(claims: Iterable[PaperClaim]) -> str:
    """Say which claim is made of one that does not stand before it; empty if none is."""
    before: set[str] = set()
    for claim in claims:
        if missing := [part for part in claim.parts if part not in before]:
            return f"{claim.id} is made of {', '.join(missing)}, which no claim before it is called"
        before.add(claim.id)
    return ""


def read_claims(path: Path) -> list[PaperClaim]:
    """Read the paper's claims, in the order in which they are shown.

    Args:
        path: ``resources/paper/claims.yaml``.

    Raises:
        StudyError: The file is not there, is no YAML, or a claim in it lacks or misnames something.
    """
    try:
        return Claims.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).claims
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StudyError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise StudyError(f"{path}: {_first(error, 'claims')}") from error


def _first(error: ValidationError, whole: str = "") -> str:
    """What is wrong first, and where; ``whole`` is what it is called where it is about no part."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"])) or whole
    told = first["msg"].removeprefix("Value error, ")
    return f"{place}: {told}" if place else told
