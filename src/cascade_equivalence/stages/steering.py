"""The stage in which states of a speech LLM are moved along a direction, or kept from a concept at a single layer."""

from typing import Any

from cascade_equivalence.config.mechanism import SteeringConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import erasers, needs, opened_models, resolve, utterances
from cascade_equivalence.stages.fingerprint import code_of
from cascade_equivalence.stages.needs import Need
from cascade_equivalence.stages.study import Study


def settings(study: Study) -> SteeringConfig:
    """The section of the config.

    Raises:
        StudyError: The study has none.
    """
    if study.mechanism.steering is None:
        raise StudyError("the study steers nothing: add `mechanism.steering` to ask for that")
    return study.mechanism.steering


def voice(study: Study, task: str) -> str:
    """The one voice in which a task is heard."""
    return settings(study).voice or study.voices_of(task)[0]


def eraser_files(study: Study, model: str) -> dict[str, dict[int, str]]:
    """By concept that is erased at single layers, the erasers of each layer."""
    layers = opened_models.layers(study, model)
    # A run that is left with no task to erase on has no erasers.
    there = study.mechanism.erasure.concepts if study.mechanism.erasure else []
    return {
        concept: {layer: erasers.file(study, model, concept, layer) for layer in layers}
        for concept in settings(study).concepts
        if concept in there
    }


def fitted_on(study: Study, model: str) -> list[str]:
    """The utterances that erasers of a model are fitted on, where there are erasers."""
    return [utterances.file(study)] if eraser_files(study, model) else []


def file(study: Study, model: str, task: str) -> str:
    """What a model answers while its states are changed."""
    return f"{study.results}/steering/{model}/{task}.parquet"


def all_files(study: Study) -> list[str]:
    """Every such file of the study."""
    if study.config.mechanism is None or study.mechanism.steering is None:
        return []
    return [file(study, model, task) for model in opened_models.speech_llms(study) for task in settings(study).tasks]


def params(study: Study, model: str, task: str) -> dict[str, Any]:
    """What a node depends on, beside weights, speech, items and erasers."""
    return settings(study).model_dump(mode="json", exclude={"tasks", "voice"}) | {
        "layers": opened_models.layers(study, model),
        "answer": study.config.answer.deciding("mode"),
        "task": study.task(task).asked(),
        "chat": study.model(study.text_model(model)).chat,
        "code": resolve.code_opening(study, "steer_states", [model], *code_of(task)),
    }


def ways(study: Study, model: str) -> int:
    """Changes that an item is asked under, and once without any; of erasers as many ranks as there may be."""
    section = settings(study)
    amounts = len(section.strengths) + len(section.concepts) * (len(section.ranks) + 1)
    return 1 + len(section.positions) * len(opened_models.layers(study, model)) * (1 + section.draws) * amounts


def need(study: Study, model: str, task: str) -> Need:
    """Of one node."""
    section = settings(study)
    rows = 2 * section.fit + min(section.per_task, study.items_of(task)) * ways(study, model)
    asked = needs.of_task(study, task, rows, 1, model)
    return needs.asking_need(study, "speech-llm", opened_models.weights(study, model), asked)
