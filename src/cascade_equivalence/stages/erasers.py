"""The stages that fit erasers: moments of a layer's states, then a concept's erasers and their controls."""

from typing import Any

from cascade_equivalence.config.mechanism import BASELINE
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.stages import opened_models, similarity
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study


def moments(study: Study, model: str, layer: int) -> str:
    """Mean and covariance of a layer's states."""
    return f"{study.results}/moments/{model}/layer{layer}.safetensors"


def file(study: Study, model: str, concept: str, layer: int) -> str:
    """Erasers of a concept at one layer."""
    return f"{study.results}/erasers/{model}/{concept}/layer{layer}.safetensors"


def summary(study: Study, model: str, concept: str) -> str:
    """What the erasers of a concept take away."""
    return f"{study.results}/erasers/{model}/{concept}/summary.json"


def read_means(study: Study, model: str, concept: str) -> list[str]:
    """Mean states of what a model reads, where a concept takes them."""
    return [similarity.means(study, model)] if CONCEPTS.find(concept).reads else []


def all_moments(study: Study, model: str) -> list[str]:
    """Moments of all layers of a model."""
    return [moments(study, model, layer) for layer in opened_models.layers(study, model)]


def files_of(study: Study, model: str, concept: str) -> list[str]:
    """Erasers that are at work in a condition, a file a layer."""
    return (
        []
        if concept == BASELINE
        else [file(study, model, concept, layer) for layer in opened_models.layers(study, model)]
    )


def moments_params(study: Study) -> dict[str, Any]:
    """What moments depend on, beside the states."""
    return {"code": code_fingerprint("layer_moments")}


def params(study: Study, concept: str) -> dict[str, Any]:
    """What a concept's erasers and controls depend on, beside states, moments and probes."""
    fields = {"affine", "pooling", "shrinkage", "tolerance", "proxy_classes", "seed"}
    erased = CONCEPTS.find(concept)
    fields |= erased.settings | ({"controls", "seeds"} if erased.matched else set())
    settings = study.erasure.model_dump(mode="json", include=fields)
    return settings | {"code": code_fingerprint("fit_erasers", *CONCEPTS.files(concept))}


def need(study: Study, model: str) -> Need:
    """Of fitting a concept's erasers, a layer after the other."""
    return counting_need(
        1000 + opened_models.states_megabytes(study, model), 600 * len(opened_models.layers(study, model)), threads=2
    )
