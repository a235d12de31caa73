"""The stage that checks that a speech LLM hears known clips, before it answers."""

from typing import Any

from cascade_equivalence.config.study import E2ESpec
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages import needs, transcribe
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need
from cascade_equivalence.stages.study import Study

PREFLIGHT_CLIPS = 4


def file(study: Study, model: str) -> str:
    """Record of a speech LLM's preflight."""
    return f"{study.results}/preflight/{model}.json"


def files(study: Study, *models: str) -> list[str]:
    """Preflights that must pass before these models answer: those of the speech LLMs."""
    return [file(study, study.listener(name)) for name in models if study.is_speech_llm(name)]


def files_of(study: Study, system: str) -> list[str]:
    """Preflights that must pass before a system answers."""
    spec = study.system(system)
    return files(study, spec.model) if isinstance(spec, E2ESpec) else []


def params(study: Study, model: str) -> dict[str, Any]:
    """What a preflight depends on, beside the weights: on the known clips, too."""
    clips = contents_of((RESOURCES / "preflight").iterdir())
    return transcribe.params(study, model) | {"clips": clips, "check": code_fingerprint("preflight")}


def need(study: Study, model: str) -> Need:
    """Of a speech LLM's preflight."""
    return needs.asking_need(study, "speech-llm", study.transcribing_models(model), needs.Asks(PREFLIGHT_CLIPS))
