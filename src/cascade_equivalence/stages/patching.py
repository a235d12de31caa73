"""The stage in which states of one run of a speech LLM are put into another."""

from typing import Any

from cascade_equivalence.config.mechanism import PatchingConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import needs, opened_models, resolve
from cascade_equivalence.stages.fingerprint import code_of
from cascade_equivalence.stages.needs import Need
from cascade_equivalence.stages.study import Study

ARMS = 2
"""A pair's source is heard, and read."""
RUNS = 5
"""At most: source and target behind the speech, and at words the source read, heard, and the target."""


def settings(study: Study) -> PatchingConfig:
    """The section of the config.

    Raises:
        StudyError: The study has none.
    """
    if study.mechanism.patching is None:
        raise StudyError("the study patches nothing: add `mechanism.patching` to ask for that")
    return study.mechanism.patching


def voice(study: Study, task: str) -> str:
    """The one voice in which a task is heard."""
    return settings(study).voice or study.voices_of(task)[0]


def file(study: Study, model: str, task: str) -> str:
    """What states of a model carry over on a task."""
    return f"{study.results}/patching/{model}/{task}.parquet"


def all_files(study: Study) -> list[str]:
    """Every such file of the study."""
    if study.config.mechanism is None or study.mechanism.patching is None:
        return []
    return [file(study, model, task) for model in opened_models.speech_llms(study) for task in settings(study).tasks]


def params(study: Study, model: str, task: str) -> dict[str, Any]:
    """What a node depends on, beside weights, speech and items."""
    return settings(study).model_dump(mode="json", include={"per_task", "positions", "seed"}) | {
        "layers": opened_models.layers(study, model),
        "answer": study.config.answer.deciding("mode"),
        "task": study.task(task).asked(),
        "chat": study.model(study.text_model(model)).chat,
        "code": resolve.code_opening(study, "patch_states", [model], *code_of(task)),
    }


def readings(study: Study, model: str) -> int:
    """Prompts that are read for a pair: those of ``RUNS`` in each arm, and the target once a place."""
    places = len(opened_models.layers(study, model)) * len(settings(study).positions)
    return ARMS * (RUNS + places)


def need(study: Study, model: str, task: str) -> Need:
    """Of one node."""
    pairs = min(settings(study).per_task // 2 * 2, study.items_of(task))
    asked = needs.of_task(study, task, pairs * readings(study, model), 0, model)
    return needs.asking_need(study, "speech-llm", opened_models.weights(study, model), asked)
