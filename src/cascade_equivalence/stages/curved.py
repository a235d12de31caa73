"""The stage that probes layers by what is not linear, before and after a concept is erased."""

from typing import Any

from cascade_equivalence.config.mechanism import CurvedConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import opened_models
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study


def settings(study: Study) -> CurvedConfig:
    """The section of the config.

    Raises:
        StudyError: The study has none.
    """
    if study.mechanism.curved is None:
        raise StudyError("the study has linear probes only: add `mechanism.curved` to ask for others")
    return study.mechanism.curved


def file(study: Study, model: str, layer: int) -> str:
    """What probes read of a layer before and after erasing."""
    return f"{study.results}/curved/{model}/layer{layer}.json"


def all_files(study: Study) -> list[str]:
    """Every such file of the study."""
    if study.config.mechanism is None or study.mechanism.curved is None:
        return []
    return [
        file(study, model, layer) for model in study.mechanism.models for layer in opened_models.layers(study, model)
    ]


def params(study: Study) -> dict[str, Any]:
    """What a node depends on, beside states, utterances and items."""
    return settings(study).model_dump(mode="json") | {"code": code_fingerprint("probe_curved")}


def need(study: Study, model: str) -> Need:
    """Of one layer."""
    return counting_need(1000 + opened_models.states_megabytes(study, model), 1800, threads=2)
