"""What is compared, and the section `statistics`: intervals, tests and the bounds of equivalence."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import VARIANTS, Draws, Label, Name, TaskName
from cascade_equivalence.registry import NameIn

PairName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*~[A-Za-z0-9][A-Za-z0-9._-]*$")]
VariantName = Annotated[str, NameIn(VARIANTS)]


class PairSpec(Closed):
    """Two systems to compare item by item."""

    system: Name = Field(description="The system under study.")
    reference: Name = Field(description="The system it is compared with.")
    label: Label = Field(description="What the comparison is for, as shown in tables.")


class ContrastSpec(Closed):
    """Two references of one system, compared: does it agree more with the first than with the second?"""

    system: Name = Field(description="The system under study.")
    first: Name = Field(description="One reference, such as the cascade with the same backbone.")
    second: Name = Field(description="The other, such as a cascade with another backbone and the same ASR.")
    label: Label = Field(description="What the contrast is for, as shown in tables.")


class EquivalenceConfig(Closed):
    """What counts as equivalent; set it before the answers are seen."""

    accuracy_margin: float = Field(
        default=0.03, gt=0, lt=1, description="Largest difference of two accuracies that is taken as none, as a share."
    )
    kappa_bound: float = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="Smallest kappa that is taken as the same answers, where there is no ceiling.",
    )
    ceiling_margin: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="By how much kappa may be below that of the ceiling, two cascades with the same LLM that read two "
        "transcripts, to be taken as the same answers.",
    )


class FamilyConfig(Closed):
    """Tests that are corrected as a family of their own, apart from the others."""

    pairs: list[PairName] = Field(min_length=1, description="Pairs, as `system~reference`.")
    tasks: list[TaskName] = Field(default=[], description="Tasks; empty takes all.")


class StatisticsConfig(Closed):
    """How agreement is judged."""

    draws: Draws = Field(default=10_000, description="Permutations, and draws of rows as the paper draws them.")
    confidence: float = Field(
        default=0.95,
        gt=0,
        lt=1,
        description="Level of the intervals; each claim about a number is judged by its interval.",
    )
    fdr: float = Field(default=0.05, gt=0, lt=1, description="False discovery rate of all claims that are tested.")
    family: Literal["condition", "study"] = Field(
        default="condition",
        description="Tests that are corrected together: all pairs and tasks of one `condition`, or of the whole "
        "`study`.",
    )
    family_excludes: list[PairName] = Field(
        default=[],
        description="Pairs that are left out of the family, as `system~reference`; their p-values are not corrected.",
    )
    family_apart: FamilyConfig | None = Field(
        default=None, description="Tests that are a family of their own, as the paper's are; null sets none apart."
    )
    equivalence: EquivalenceConfig = Field(default=EquivalenceConfig(), description="What counts as equivalent.")
    repeats: list[VariantName] = Field(
        default=[],
        description="What is changed when a system is asked again about clean speech, although it should not matter: "
        "how far it agrees with itself stands beside every kappa. Each asks all that is asked again once more.",
    )
    repeat_systems: list[Name] = Field(
        default=[], description="Systems that are asked again; empty takes all that are not behind an API."
    )
    repeat_tasks: list[TaskName] = Field(
        default=[], description="Tasks that they are asked again about; empty takes all."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the draws.")

    def asked_again(self) -> set[str]:
        """Keys that concern systems that are asked again, and nothing else."""
        return {name for name in type(self).model_fields if name.startswith("repeat")}
