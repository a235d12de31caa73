"""What the tests of the paper's claims give, and the estimates that they take together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cascade_equivalence.report.chance import NOT_ABOVE, UNCLEAR
from cascade_equivalence.report.claims_paper import PaperClaim
from cascade_equivalence.report.claims_rows import Facts, Measured, Value, dependent, independent, measured

NOTHING = "this study has nothing to judge it on"


@dataclass(frozen=True)
class ClaimResult:
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
        standings: How the systems of each estimate that it rests on stand to chance.
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
    standings: Sequence[str] = ()

    def chances(self) -> str:
        """What is to be known of estimates of systems that are not shown to be above chance; empty if there are none.

        Such systems may share habits of guessing, so that what is measured on them says little of how they work.
        """
        told = {
            NOT_ABOVE: "a system that is not above chance",
            UNCLEAR: "a system of which there are too few texts to tell whether it is above chance",
        }
        counts = [(self.standings.count(each), words) for each, words in told.items()]
        return " ".join(f"{self._share(count)} on {words}." for count, words in counts if count)

    def _share(self, count: int) -> str:
        if len(self.standings) == 1:
            return "Its only estimate rests"
        share = "All" if count == len(self.standings) else str(count)
        return f"{share} of its {len(self.standings)} estimates {'rests' if count == 1 else 'rest'}"


@dataclass(frozen=True)
class EstimateGroup:
    """Estimates that have limits, and why others have none."""

    there: list[Measured]
    reason: str = NOTHING
    tasks: list[str] = field(default_factory=list)
    lacking: list[Measured] = field(default_factory=list)

    @classmethod
    def of(cls, found: Sequence[Measured]) -> "EstimateGroup":
        """Sort them."""
        there = [each for each in found if each.found is not None and each.against is not None]
        missing = [each for each in found if each not in there]
        reason = f"no estimate has an interval: {missing[0].reason or 'there is no bound'}" if missing else NOTHING
        return cls(there, reason, list(dict.fromkeys(each.task for each in there)), missing)

    @classmethod
    def of_claim(cls, claim: PaperClaim, facts: Facts, tasks: str | Sequence[str] | None = None) -> "EstimateGroup":
        """Those of the rows that a claim names, on its tasks or on others."""
        assert claim.rows is not None
        return cls.of(measured(claim.rows, facts.tasks(claim.tasks if tasks is None else tasks), facts, claim.against))

    def by_task(self) -> dict[str, Value]:
        """One estimate a task, above what each is held against: the mean over systems."""
        return {task: dependent([each.above for each in self.there if each.task == task]) for task in self.tasks}

    def by_model(self) -> dict[str, Value]:
        """One estimate a speech LLM: the mean over tasks of those of its pairs."""
        models = dict.fromkeys(each.model for each in self.there if each.model)
        return {
            model: independent(
                list(EstimateGroup.of([one for one in self.there if one.model == model]).by_task().values())
            )
            for model in models
        }
