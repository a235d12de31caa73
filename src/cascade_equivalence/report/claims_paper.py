"""What the paper claims of systems, as data (resources/paper/claims.yaml): what is judged, how, and in which words."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.errors import StudyError

PLACEHOLDERS = ("value", "against", "smallest", "p", "systems", "tasks", "detail", "reason")
"""What the sentences of a claim may name in braces."""


OF_ACCURACY = frozenset({"accuracy", "accuracy_difference", "change"})
"""Values of rows that say how many answers are right; all others say which answers two systems share."""


class Rows(Closed):
    """Which estimates of the tidy tables a claim is about."""

    table: Literal["agreement", "errors", "equivalence", "accuracy", "noise", "contrasts"]
    value: str = Field(description="Column with the value; its limits are in `{value}_low` and `{value}_high`.")
    pick: list[str] = Field(default=[], description="Names of choices of rows, all of which have to apply.")
    condition: Literal["clean", "most_babble"] = "clean"
    toward: Literal["speech_llms", "matched"] | None = Field(
        default=None,
        description="Which of the two compared comes first in a difference; turned round where it does not.",
    )


class PaperClaim(Closed):
    """One claim of the paper."""

    id: str
    section: str = Field(description="Where the paper says it.")
    title: str = Field(description="The claim in a few words.")
    says: str = Field(description="What the paper says, in plain English, with its numbers.")
    judged_on: str = Field(description="Tables, systems, tasks and conditions, in words.")
    test: Literal["mean", "between_tasks", "between_systems", "spread", "gradient", "order", "reversal", "all_of"]
    rows: Rows | None = None
    second: Rows | None = Field(default=None, description="What `between_systems` takes away.")
    tasks: Literal["closed", "text_sufficient", "text_insufficient"] | list[str] = "closed"
    trait: Literal["pitch_loss", "lens_precision", "surplus"] | None = Field(
        default=None, description="What `gradient` sets the rows against; a surplus is one of tasks, others of models."
    )
    parts: list[str] = Field(default=[], description="Claims that `all_of` is made of.")
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
        if self.test in ("mean", "between_tasks", "between_systems", "spread", "gradient") and self.rows is None:
            raise ValueError(f"the test {self.test} needs rows")
        return self


class Claims(Closed):
    """The file."""

    claims: list[PaperClaim]

    @model_validator(mode="after")
    def _known(self) -> "Claims":
        names = [claim.id for claim in self.claims]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two claims are called {', '.join(twice)}")
        for i, claim in enumerate(self.claims):
            if missing := [part for part in claim.parts if part not in names[:i]]:
                raise ValueError(f"{claim.id} is made of {', '.join(missing)}, which no claim before it is called")
        return self


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
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "claims"
        raise StudyError(f"{path}: {place}: {first['msg']}") from error
