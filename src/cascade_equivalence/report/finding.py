"""One judged claim on one opened model: what was found, against which control, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass

from cascade_equivalence.errors import StudyError

RULE_OF_THREE = 3
"""Nothing in n items: with 95 % confidence at most about 3 / n (Hanley & Lippman-Hand 1983)."""
PROBES, LENS, IMPLICIT, ERASURE = "Probes", "Logit lens", "Implicit cascade", "Erasure"
LEVELS = {
    PROBES: "what is encoded",
    LENS: "how it emerges",
    IMPLICIT: "whether it suffices",
    ERASURE: "whether it is necessary",
}
"""The paper's four levels of evidence (its section 5.5)."""


@dataclass(frozen=True)
class Claim:
    """A claim on the inside of models.

    Attributes:
        name: Its name, unique among them.
        level: The level of evidence it belongs to, one of ``LEVELS``.
        title: The claim.
        short: The same in a few words.

    Raises:
        StudyError: There is no such level.
    """

    name: str
    level: str
    title: str
    short: str

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise StudyError(
                f"the claim {self.name!r} has the level {self.level!r}; it needs one of {', '.join(LEVELS)}"
            )


RETAINED = Claim("retained", PROBES, "The sound is retained through the layers", "Sound retained")
READABLE = Claim("readable", PROBES, "Text becomes readable with depth", "Text readable")
SHOWN = Claim("shown", LENS, "Text emerges with depth in the model's own vocabulary", "Text emerges")
SUFFICES = Claim("suffices", IMPLICIT, "The text that emerges suffices for the answers", "Text suffices")
NECESSARY = Claim("necessary", ERASURE, "The answers need the directions that hold the text", "Text needed")
HEARING = Claim("hearing", ERASURE, "What breaks is hearing, not language", "Hearing, not language")
BAG_BREAKS_MORE = Claim(
    "bag_breaks_more", ERASURE, "Erasing BoC breaks more than erasing what CTC reads", "BoC beyond CTC"
)
BAG_DIFFERS = Claim(
    "bag_differs", ERASURE, "What BoC breaks beyond what CTC reads differs between models", "BoC beyond CTC, by model"
)
NOT_MEAN = Claim("not_only_mean", ERASURE, "The collapse is more than a shift of the mean", "More than the mean")
SPARED = Claim("spared", ERASURE, "Erasing the sound leaves the answers alone", "Answers without sound")
APART = Claim("apart", ERASURE, "Erasing the sound leaves the text alone", "Text without sound")


@dataclass(frozen=True)
class Finding:
    """A claim, judged.

    Attributes:
        model: The opened model.
        claim: The claim.
        subject: What it is judged on, such as a probe, a concept or a cascade.
        place: Task, as a reader sees it; empty where it is about none.
        outcome: One of ``OUTCOMES``.
        numbers: The numbers it was judged by, with those of the controls.
        why: Why it does not hold or cannot be told; or what to know of a claim that holds.
        brief: The number that says most beside its control, for a table; empty where there is one a task.
        p: Its p-value, see ``verdict_claims``; None where it was not tested.
        p_adjusted: The same, corrected over all claims that were tested.
    """

    model: str
    claim: Claim
    subject: str
    place: str
    outcome: str
    numbers: str
    why: str = ""
    brief: str = ""
    p: float | None = None
    p_adjusted: float | None = None


def first_reason(reasons: Mapping[str, bool]) -> str:
    """The first reason that is the case; empty if none is."""
    return next((reason for reason, given in reasons.items() if given), "")


def too_few(groups: int, margin: float) -> bool:
    """Whether items are too few to rule out a change of a margin, even if none of them changed (the rule of three)."""
    return groups < RULE_OF_THREE / margin
