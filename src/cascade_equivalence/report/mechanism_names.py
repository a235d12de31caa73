"""What is found inside opened models: names in paths, and names for a reader."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from cascade_equivalence.config.mechanism import BASELINE, DRAWN, UNTRAINED
from cascade_equivalence.config.names import CONCEPTS, ConceptKind
from cascade_equivalence.errors import StudyError

LAYER = re.compile(r"layer(\d+)")
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

Key = TypeVar("Key")


@dataclass(frozen=True)
class MechanismFiles:
    """Files about the inside of opened models; none where a study opens none.

    Attributes:
        probes: ``.../{opened}/layer{layer}.json``.
        lens: ``.../{model}/layer{layer}.parquet``.
        erasers: ``.../{model}/{concept}/summary.json``.
        erasure: ``.../{model}/{concept}/{task}.parquet``.
    """

    probes: Sequence[Path] = field(default=())
    lens: Sequence[Path] = field(default=())
    erasers: Sequence[Path] = field(default=())
    erasure: Sequence[Path] = field(default=())

    @classmethod
    def of(cls, files: Mapping[str, Iterable[str]]) -> Self:
        """From paths as text, by the names of the attributes."""
        return cls(**{name: [Path(path) for path in paths] for name, paths in files.items()})


class Layer(NamedTuple):
    """Where a layer's file belongs."""

    model: str
    untrained: bool
    layer: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the names from a path."""
        found = LAYER.fullmatch(path.stem)
        if found is None:
            raise StudyError(f"{path} is not named layer<number>; remove it and run again")
        opened = path.parts[-2]
        return cls(opened.removesuffix(UNTRAINED), opened.endswith(UNTRAINED), int(found[1]))


class Fitted(NamedTuple):
    """Where the summary of a concept's erasers belongs."""

    model: str
    concept: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the names from a path."""
        model, concept = path.parts[-3:-1]
        return cls(model, concept)


class ErasureFile(NamedTuple):
    """Where the answers under an erasure belong."""

    model: str
    concept: str
    task: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the names from a path."""
        model, concept = path.parts[-3:-1]
        return cls(model, concept, path.stem)


def by_name(paths: Iterable[Path], name: Callable[[Path], Key]) -> dict[Key, Path]:
    """Files by what they are about, in their order.

    Raises:
        StudyError: Two files are about the same.
    """
    found: dict[Key, Path] = {}
    for path in paths:
        other = found.setdefault(name(path), path)
        if other != path:
            raise StudyError(f"{path} and {other} are about the same thing; remove the one that is not the study's")
    return found


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
