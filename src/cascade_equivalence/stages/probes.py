"""The stage that probes the states of a layer: pitch, energy, characters, and what is said (CTC)."""

from typing import Any

from cascade_equivalence.config.mechanism import ProbesConfig
from cascade_equivalence.stages import opened_models
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study


def file(study: Study, opened: str, layer: int, kind: str = "json") -> str:
    """What probes find in a layer; ``safetensors``: its CTC probe."""
    return f"{study.results}/probes/{opened}/layer{layer}.{kind}"


def all_ctc(study: Study, model: str) -> list[str]:
    """CTC probes of all layers of a model."""
    return [file(study, model, layer, "safetensors") for layer in opened_models.layers(study, model)]


def settings(study: Study, opened: str) -> ProbesConfig:
    """How an opened model is probed."""
    probes = study.mechanism.probes
    outputs = probes.upsample.get(opened_models.original(opened), probes.ctc.upsample)
    ctc = probes.ctc.model_copy(update={"upsample": outputs})
    return probes.model_copy(update={"ctc": ctc, "upsample": {}})


def params(study: Study, opened: str) -> dict[str, Any]:
    """What probes depend on, beside states and utterances."""
    return settings(study, opened).model_dump(mode="json") | {"code": code_fingerprint("probe_layer")}


def need(study: Study, opened: str) -> Need:
    """Of probing a layer, or of its moments."""
    return counting_need(1000 + opened_models.states_megabytes(study, opened_models.original(opened)), 3600, threads=2)
