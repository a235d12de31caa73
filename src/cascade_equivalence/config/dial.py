"""Dials: adapters that a study asks at several scales, each beside the cascade with its own text LLM.

Open it when a study has a dial that is not found, or one that is not meant: it is read off the config, never off names.
"""

from dataclasses import dataclass

from cascade_equivalence.config.sources import ModelSpec
from cascade_equivalence.config.study import ORACLE, PRIOR, CascadeSpec, E2ESpec, StudyConfig

FEWEST_SCALES = 3
"""Scales of one adapter that make a dial: of two, any change is in order."""


@dataclass(frozen=True)
class Setting:
    """An adapter at one scale.

    Attributes:
        scale: How much of its change is made.
        model: The speech LLM.
        system: The system that answers from audio.
        reference: The own-weights cascade that it is compared with.
    """

    scale: float
    model: str
    system: str
    reference: str


@dataclass(frozen=True)
class Dial:
    """One adapter at several scales.

    Attributes:
        base: The speech LLM that it changes.
        asr: Whose transcripts all the own-weights cascades read.
        settings: By rising scale, each scale once, ``FEWEST_SCALES`` at least.
    """

    base: str
    asr: str
    settings: tuple[Setting, ...]

    @property
    def most(self) -> Setting:
        """The one with the most of the change."""
        return self.settings[-1]


def dials(config: StudyConfig) -> list[Dial]:
    """The dials of a study, in the order of its pairs.

    Speech LLMs belong together where the same adapter (its source) is put on the same base (its source); each counts at
    its scale once it is paired with the cascade whose text LLM is its own. Of several such cascades those count whose
    recogniser the most scales have; an own transcription does not, as it changes with the scale.

    Args:
        config: The checked config.
    """
    systems, models = config.definitions.systems, config.definitions.models
    found: dict[tuple[str, str], dict[str, dict[float, Setting]]] = {}
    for pair in config.pairs:
        for system, reference in ((pair.system, pair.reference), (pair.reference, pair.system)):
            one, other = systems[system], systems[reference]
            if not isinstance(one, E2ESpec) or not isinstance(other, CascadeSpec) or other.llm != one.model:
                continue
            spec = models[one.model]
            if spec.base is not None and other.asr not in (PRIOR, one.model):
                scales = found.setdefault(_weights(spec, models.get(spec.base)), {}).setdefault(other.asr, {})
                scales.setdefault(spec.scale, Setting(spec.scale, one.model, system, reference))
    chosen = [max(heard.items(), key=lambda each: (len(each[1]), each[0] != ORACLE)) for heard in found.values()]
    return [
        Dial(str(models[next(iter(scales.values())).model].base), asr, tuple(scales[scale] for scale in sorted(scales)))
        for asr, scales in chosen
        if len(scales) >= FEWEST_SCALES
    ]


def _weights(adapter: ModelSpec, base: ModelSpec | None) -> tuple[str, str]:
    """Where an adapter and what it changes come from."""
    return adapter.source.model_dump_json(), str(adapter.base) if base is None else base.source.model_dump_json()
