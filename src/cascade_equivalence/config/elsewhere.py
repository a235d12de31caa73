"""Which systems and models of a study are run by others, and what of a study cannot be done with them."""

from collections.abc import Iterator

from cascade_equivalence.config.api import ApiSpec, api_problems
from cascade_equivalence.config.endpoints import EndpointSource
from cascade_equivalence.config.sources import ModelSpec
from cascade_equivalence.config.study import Elsewhere, StudyConfig, Typed


def endpoint_of(study: StudyConfig, model: str) -> EndpointSource | None:
    """The endpoint that runs a model; None for one whose weights are here, and for a name that is no model."""
    spec = study.definitions.models.get(model)
    return spec.source if spec is not None and isinstance(spec.source, EndpointSource) else None


def answers_elsewhere(study: StudyConfig, system: str) -> bool:
    """Whether what answers of a system is not here."""
    return isinstance(study.definitions.systems.get(system), Elsewhere) or answers_through_endpoint(study, system)


def answers_through_endpoint(study: StudyConfig, system: str) -> bool:
    """Whether it is a cascade whose text LLM an endpoint runs."""
    spec = study.definitions.systems.get(system)
    return isinstance(spec, Typed) and endpoint_of(study, spec.llm) is not None


def service_problems(study: StudyConfig) -> Iterator[str]:
    """Say what is wrong with what a study asks of others; one line a problem."""
    systems = {name: study.definitions.systems.get(name) for name in study.systems}
    cascades = {name: spec for name, spec in systems.items() if isinstance(spec, Typed)}
    named = dict.fromkeys(model for spec in cascades.values() for model in (spec.asr, spec.llm))
    services = {f"systems.{name}": spec for name, spec in systems.items() if isinstance(spec, ApiSpec)}
    answering = [name for name, spec in systems.items() if isinstance(spec, ApiSpec)]
    answering += [name for name, spec in cascades.items() if endpoint_of(study, spec.llm) is not None]
    for name in dict.fromkeys(spec.asr for spec in cascades.values()):
        # What both have asked, and what it cost, stands under their names.
        if name in systems and endpoint_of(study, name) is not None:
            yield f"systems.{name}: a recogniser that an endpoint runs is called {name!r}, too; rename one of them"
    for name in [*named, *([study.surplus.asr] if study.surplus.tasks and study.surplus.asr else [])]:
        if (source := endpoint_of(study, name)) is not None and f"models.{name}.source" not in services:
            model = study.definitions.models[name]
            yield from _entry_problems(f"models.{name}", model)
            yield from (f"models.{name}.source.{problem}" for problem in source.problems(model.role))
            services[f"models.{name}.source"] = source.asked_as(model.role)
    yield from api_problems(services, answering, study.api, study.answer.mode)


def _entry_problems(key: str, model: ModelSpec) -> Iterator[str]:
    """What of an entry only a model with weights can have."""
    fields = type(model).model_fields
    for name in ("gguf", "chat", "text_model", "audio_model", "base", "scale", "transcription"):
        if getattr(model, name) != fields[name].default:
            yield f"{key}.{name}: an endpoint has no weights to which this could apply; leave it out"
