"""The stage that brings models: where their weights lie, and which a node needs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.models.architecture import ARCHITECTURES
from cascade_equivalence.provenance.hashes import state_of
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.study import Study

HEARING = "models/speech_llm/*"
"""What opens speech LLMs."""


def manifest(study: Study, model: str) -> str:
    """Manifest of resolved weights; they lie beside it."""
    return f"{study.models}/{model}/manifest.json"


def answering_manifests(study: Study, system: str) -> list[str]:
    """Manifests of the models that a system's answers need, its text LLM's first."""
    return [manifest(study, model) for model in study.answering_models(system)]


def transcribing_manifests(study: Study, asr: str) -> list[str]:
    """Manifests of the models that transcripts need, none for the true texts."""
    return [manifest(study, model) for model in study.transcribing_models(asr)]


def pair_manifests(study: Study, *systems: str) -> list[str]:
    """Manifests of some systems' text LLMs, each once, in their order; none where one is not known."""
    if not all(map(study.is_here, systems)):
        return []
    return list(dict.fromkeys(manifest(study, study.backbone(name)) for name in systems))


def all_manifests(study: Study) -> list[str]:
    """Manifests of all models of the study."""
    models = [model for name in study.config.systems for model in study.answering_models(name)]
    models += [model for asr in study.asrs for model in study.transcribing_models(asr)]
    return list(dict.fromkeys(manifest(study, model) for model in models))


def parts(study: Study, model: str) -> dict[str, str]:
    """Manifests of what an adapter's folder is put together with: ``base`` and ``text``; none for other models."""
    return {part: manifest(study, name) for part, name in part_models(study, model).items()}


def part_models(study: Study, model: str) -> dict[str, str]:
    """The models that an adapter's folder is put together with, by part: ``base`` and ``text``; none for others."""
    base = study.model(model).base
    return {} if base is None else {"base": base, "text": study.text_model(base)}


def params(study: Study, model: str) -> dict[str, Any]:
    """What resolved weights depend on. A folder of the user's counts as it is now."""
    spec = study.model(model)
    added = ARCHITECTURES.all_files() if spec.role == "speech-llm" else ()
    left_out = {"blocks", "billions", "vectors_per_second", *(() if spec.base else ("base", "scale"))}
    params: dict[str, Any] = {
        "spec": spec.model_dump(mode="json", exclude=left_out),
        "code": code_fingerprint("resolve_model", "models/speech_llm/architectures.py", *added, without=(HEARING,)),
    }
    if isinstance(spec.source, PathSource):
        params["folder"] = state_of(spec.source, spec.gguf, Path(study.models))
    return params


def code_opening(
    study: Study, script: str, models: Iterable[str], *own: str | Path, without: Iterable[str] = ()
) -> str:
    """The fingerprint of a node that opens models: what opens speech LLMs counts where one of them is.

    Args:
        study: The study.
        script: As in :func:`.code_fingerprint`, and so are the others.
        models: The models.
        own: What is particular to the node.
        without: What it does not run.
    """
    # Which architecture a checkpoint is of shows only when it is there.
    if any(study.model(name).role == "speech-llm" for name in models):
        return code_fingerprint(script, *own, *ARCHITECTURES.all_files(), without=without)
    return code_fingerprint(script, *own, without=(*without, HEARING))
