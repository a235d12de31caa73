"""What is found inside opened models: what files are of, and names for a reader."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from cascade_equivalence.config.mechanism import BASELINE, DRAWN
from cascade_equivalence.config.names import CONCEPTS, ConceptKind

DRAW = rf"^({'|'.join(DRAWN)})(\d+)$"
"""Names of the draws of a concept's controls: the control and a number."""
ALL, AUDIO_ONLY = "all", "audio"
HEARD, READ = "audio", "text"

CTC = "ctc"
"""The probe of the text, character by character."""
ORDERED, BAG = CTC, "boc"
"""Two ways to hold the text that the paper sets against each other (its section 5.4)."""
RANDOM, FIRST_WORD = "random", "proxy"
"""The paper's random erasure is the random control of the first word, which is the paper's text condition."""
TITLES = {BASELINE: "Nothing", "random": "Random", "principal": "Random, as much variance"}
"""Of conditions that are no concept. Random ones are drawn for each concept, as many directions as it has."""
PROBE_TITLES = {"energy": "Energy", "pitch": "Pitch", CTC: "CTC", BAG: "BoC"}
"""The order of the paper's Table 4."""


@dataclass(frozen=True)
class MechanismFiles:
    """Files about the inside of opened models; none where a study opens none.

    Attributes:
        probes: Of a model, layer, and whether its blocks are untrained.
        lens: Of a model and layer.
        erasers: Summaries of a model and concept.
        erasure: Answers of a model without a concept to a task.
        patching: What states of a model carry over on a task.
        conflict: What a system answers where what it hears and what is typed disagree; nothing is opened for it.
        similarity: How alike what a model hears is to what it reads.
        attributions: What each word is to the answers of a model on a task.
        curved: What probes that are not linear read of a model and layer.
        steering: What a model answers to a task while its states are changed.
    """

    probes: Sequence[Path] = field(default=())
    lens: Sequence[Path] = field(default=())
    erasers: Sequence[Path] = field(default=())
    erasure: Sequence[Path] = field(default=())
    patching: Sequence[Path] = field(default=())
    conflict: Sequence[Path] = field(default=())
    similarity: Sequence[Path] = field(default=())
    attributions: Sequence[Path] = field(default=())
    curved: Sequence[Path] = field(default=())
    steering: Sequence[Path] = field(default=())

    @classmethod
    def of(cls, files: Mapping[str, Iterable[str]]) -> Self:
        """From paths as text, by the names of the attributes."""
        return cls(**{name: [Path(path) for path in paths] for name, paths in files.items()})


class Layer(NamedTuple):
    """A layer of an opened model, whose blocks may be untrained."""

    model: str
    layer: int
    untrained: bool = False


class ErasureFile(NamedTuple):
    """What answers under an erasure are of."""

    model: str
    concept: str
    task: str


def concept_title(concept: str) -> str:
    """A concept, or a control, as a reader sees it."""
    known = CONCEPTS.get(concept)
    return known.title if known else TITLES.get(concept, concept)


def concepts_of(kind: ConceptKind) -> tuple[str, ...]:
    """Concepts of a kind, in order."""
    return tuple(name for name, concept in CONCEPTS.items() if concept.kind == kind)


def control_names() -> tuple[str, ...]:
    """Controls: drawn ones, which have as many directions as the concept, then those that are concepts themselves."""
    return (*DRAWN, *concepts_of("control"))


def ranks(names: Iterable[str], order: Iterable[str] = ()) -> dict[str, int]:
    """Places of names: those of an order as it has them, then the others as they come."""
    return {name: place for place, name in enumerate(dict.fromkeys([*order, *names]))}
