"""Checks of what systems, connectors and adapters are made of: models that exist, and that can play their part."""

from collections.abc import Iterator, Sequence

from cascade_equivalence.config.elsewhere import endpoint_of
from cascade_equivalence.config.explain import repeated, unknown
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.sources import DegradedSource, ModelSpec
from cascade_equivalence.config.study import GIVEN, ORACLE, E2ESpec, ImplicitSpec, StudyConfig, Typed


def system_problems(study: StudyConfig) -> Iterator[str]:
    """What is wrong with the systems that a study runs."""
    for name in study.systems:
        match study.definitions.systems.get(name):
            case system if isinstance(system, Typed):
                if system.asr not in GIVEN:
                    key, roles = f"systems.{name}.asr", ("asr", "speech-llm")
                    yield from model_problems(study, key, system.asr, roles, anywhere=True)
                    yield from _transcription_problems(study, system.asr)
                    yield from _degraded_problems(study, system.asr)
                key, roles = f"systems.{name}.llm", ("llm", "speech-llm")
                yield from model_problems(study, key, system.llm, roles, anywhere=True)
            case E2ESpec() | ImplicitSpec() as system:
                yield from model_problems(study, f"systems.{name}.model", system.model, ("speech-llm",))
            case ImportedSpec() as system:
                if system.answers.keys().isdisjoint(study.tasks):
                    yield f"systems.{name}.answers: there are none to {', '.join(study.tasks)}; leave the system out"
                if name in study.noise.systems:
                    yield f"noise.systems: {name!r} answered elsewhere, to clean speech; leave it out"


def _degraded_problems(study: StudyConfig, name: str) -> Iterator[str]:
    """What is wrong with a recogniser that is another one's transcripts with errors added."""
    models, systems = study.definitions.models, study.definitions.systems
    source = models[name].transcripts if name in models else None
    if not isinstance(source, DegradedSource):
        return
    # What both write is there where a system reads it.
    read = dict.fromkeys(asr for each in study.systems if (asr := getattr(systems.get(each), "asr", None)))
    made = {each for each, model in models.items() if isinstance(model.source, DegradedSource)}
    known = [each for each in read if each == ORACLE or each in models.keys() - made]
    for key, who in (("asr", source.asr), ("reference", source.reference)):
        if who not in known or (who, key) == (ORACLE, "reference"):
            others = ", ".join(each for each in known if (each, key) != (ORACLE, "reference")) or "none"
            yield (
                f"models.{name}.source.{key}: no system of the study reads what {who!r} itself writes down; such "
                f"are: {others}"
            )


def adapter_problems(study: StudyConfig) -> Iterator[str]:
    """What is wrong with the voice adapters that it trains."""
    for name in study.adapters:
        adapter = study.definitions.adapters.get(name)
        if adapter is None:
            continue
        key = f"adapters.{name}"
        yield from _base_of_an_adapter(study, f"{key}.base", adapter.base)
        yield from _transcription_problems(study, adapter.base)
        for task in sorted(set(adapter.voiced_tasks) & set(adapter.text_tasks)):
            yield f"{key}.text_tasks: the label of {task} lies in the voice (voiced_tasks); take it out of one of both"
        yield from unknown(f"{key}.read", [adapter.read], study.definitions.connectors, "connector")
        for field, tasks in (("voiced_tasks", adapter.voiced_tasks), ("text_tasks", adapter.text_tasks)):
            yield from repeated(f"{key}.{field}", tasks)
            yield from unknown(f"{key}.{field}", tasks, study.definitions.tasks, "task with a prompt")
        for task in adapter.voiced_tasks:
            if not TASKS.find(task).styles:
                yield f"{key}.voiced_tasks: the labels of {task} do not lie in the voice"


def connector_problems(study: StudyConfig) -> Iterator[str]:
    """What is wrong with the connectors that it trains."""
    for name in study.connectors:
        connector = study.definitions.connectors.get(name)
        if connector is None:
            continue
        key = f"connectors.{name}"
        yield from model_problems(study, f"{key}.audio_model", connector.audio_model, ("asr",))
        yield from model_problems(study, f"{key}.text_model", connector.text_model, ("llm",))
        yield from unknown(f"{key}.evaluation_voices", connector.evaluation_voices, connector.voices, "training voice")
        yield from repeated(f"{key}.evaluation_voices", connector.evaluation_voices)
        distil = connector.distil
        yield from unknown(f"{key}.distil.tasks", distil.tasks, study.definitions.tasks, "prompt of a task")
        yield from repeated(f"{key}.distil.tasks", distil.tasks)
        if distil.steps and distil.repeat < 1 and not distil.tasks:
            yield f"{key}.distil.tasks: name at least one task, or set distil.steps to 0"


def model_problems(
    study: StudyConfig, key: str, name: str, roles: Sequence[str], *, anywhere: bool = False
) -> Iterator[str]:
    """What is wrong with a model that a key names, and with those inside it.

    Args:
        study: The study.
        key: The key, as the user wrote it.
        name: The model that it names.
        roles: What the model may be.
        anywhere: Whether an endpoint may run it.
    """
    models = study.definitions.models
    if name not in models:
        yield from unknown(key, [name], models, "model")
        return
    model = models[name]
    if model.role not in roles:
        yield f"{key}: {name!r} is a model of role {model.role!r}, not {' or '.join(map(repr, roles))}"
        # Nor is it followed any further: it may lead back to where it is named.
        return
    if not anywhere and endpoint_of(study, name) is not None:
        yield f"{key}: {name!r} is run by an endpoint, and here its weights are needed; name a model that has them"
    if model.transcripts is not None and "speech-llm" not in roles:
        yield f"{key}: {name!r} has transcripts in place of weights; name a recogniser"
    if model.role != "speech-llm":
        return
    if model.base is not None:
        yield from _base_problems(study, name, model)
    elif model.text_model is None and model.audio_model is not None:
        yield f"models.{name}.text_model: name the text LLM that this speech LLM speaks through"
    for part, inner, role in (("text_model", model.text_model, "llm"), ("audio_model", model.audio_model, "asr")):
        if inner is not None:
            yield from model_problems(study, f"models.{name}.{part}", inner, (role,))


def _base_problems(study: StudyConfig, name: str, model: ModelSpec) -> Iterator[str]:
    """What is wrong with an adapter's base, and with what only its base may say."""
    yield from _base_of_an_adapter(study, f"models.{name}.base", str(model.base))
    if model.text_model is not None:
        yield f"models.{name}.text_model: leave it out; an adapter changes the text LLM of its base"


def _base_of_an_adapter(study: StudyConfig, key: str, name: str) -> Iterator[str]:
    """What an adapter's base must be: a speech LLM around a text LLM of an entry of its own, no adapter itself."""
    base = study.definitions.models.get(name)
    if base is not None and base.role == "speech-llm" and (base.base is not None or base.text_model is None):
        yield f"{key}: {name!r} does not speak through a text LLM of its own entry; name one that does"
    else:
        yield from model_problems(study, key, name, ("speech-llm",))


def _transcription_problems(study: StudyConfig, name: str) -> Iterator[str]:
    model = study.definitions.models.get(name)
    if model is None or model.role != "speech-llm":
        return
    if model.transcription is None:
        yield f"models.{name}.transcription: its transcripts are asked for, so say with which prompt"
