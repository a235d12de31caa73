"""The section `paper`: which of a study's systems and opened models are the paper's own, or stand in for them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, get_args

from pydantic import Field

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.explain import did_you_mean
from cascade_equivalence.config.names import Name

PaperSystemName = Literal[
    "Cascade-S",
    "Cascade-W",
    "Whisper+Qwen2-7B",
    "Whisper+Llama-3.1-8B",
    "Whisper+Phi-4-mini",
    "Qwen2-Audio",
    "Ultravox",
    "Phi-4-MM",
    "Gemini",
]
"""The paper's nine systems, as its Table 2 and Figure 1 call them."""
PaperModelName = Literal["Ultravox", "Qwen2-Audio", "Whisper"]
"""The models that the paper opens."""
PAPER_SYSTEMS: tuple[str, ...] = get_args(PaperSystemName)
PAPER_MODELS: tuple[str, ...] = get_args(PaperModelName)
STANDS_IN = (
    "True where another model plays its part, or the items are others: the numbers are set side by side but not "
    "judged. False where these are the paper's own weights on the published items."
)


class PaperSystem(Closed):
    """One of the paper's systems."""

    name: PaperSystemName = Field(description="The paper's name of it.")
    stands_in: bool = Field(default=True, description=STANDS_IN)


class PaperModel(Closed):
    """One of the models that the paper opens."""

    name: PaperModelName = Field(description="The paper's name of it.")
    stands_in: bool = Field(default=True, description=STANDS_IN)


class PaperConfig(Closed):
    """What of this study stands beside the paper's numbers; what is not named here is compared with nothing."""

    systems: dict[Name, PaperSystem] = Field(default={}, description="By the study's system, the paper's.")
    models: dict[Name, PaperModel] = Field(default={}, description="By the study's opened model, the paper's.")


def paper_problems(
    paper: PaperConfig | None, systems: Collection[str], opened: Collection[str], *, own_items: bool
) -> Iterator[str]:
    """Say what is wrong with the section; one line a problem.

    Args:
        paper: The section; it may be missing.
        systems: Systems that the study runs.
        opened: Models that it opens.
        own_items: Whether it asks the demo's items rather than the published ones.
    """
    if paper is None:
        return
    yield from _problems("systems", paper.systems, systems, "selected system", own_items=own_items)
    yield from _problems("models", paper.models, opened, "opened model", own_items=own_items)


def _problems(
    key: str,
    named: Mapping[str, PaperSystem] | Mapping[str, PaperModel],
    known: Collection[str],
    kind: str,
    *,
    own_items: bool,
) -> Iterator[str]:
    first: dict[str, str] = {}
    for ours, theirs in named.items():
        if ours not in known:
            yield f"paper.{key}: there is no {kind} {ours!r}{did_you_mean(ours, known)}"
        if (other := first.setdefault(theirs.name, ours)) != ours:
            yield f"paper.{key}: {other!r} and {ours!r} are both {theirs.name}; name one of them"
        if own_items and not theirs.stands_in:
            yield f"paper.{key}.{ours}.stands_in: the demo's items are not the paper's, so it can only stand in"
