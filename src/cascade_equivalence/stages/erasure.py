"""The stage in which a speech LLM answers while a concept is erased from its states."""

from typing import Any

from cascade_equivalence.config.mechanism import BASELINE
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.stages import needs, opened_models, resolve
from cascade_equivalence.stages.fingerprint import code_of
from cascade_equivalence.stages.needs import Need
from cascade_equivalence.stages.study import Study


def voice(study: Study, task: str) -> str:
    """The one voice in which a task is answered under erasure."""
    return study.erasure.voice or study.voices_of(task)[0]


def concepts(study: Study) -> list[str]:
    """Conditions of erasure, the one without any first."""
    return [BASELINE, *study.erasure.concepts]


def variants(study: Study, concept: str) -> dict[bool, int]:
    """Ways in which a concept is erased, while the model hears (True) and while it reads the true text (False)."""
    erasure = study.erasure
    forms = 1 if concept == BASELINE else len(erasure.affine)
    # Draws of controls are answered from audio only.
    places = ["all"] if concept == BASELINE else erasure.positions
    reading = forms if erasure.text_arm and "all" in places else 0
    return {True: (forms + draws(study, concept)) * len(places), False: reading}


def draws(study: Study, concept: str) -> int:
    """Draws of all controls of a concept."""
    if concept == BASELINE or not (erased := CONCEPTS.find(concept)).matched:
        return 0
    return len(study.erasure.controls) * erased.draws(study.erasure)


def file(study: Study, model: str, concept: str, task: str) -> str:
    """Answers of a model while a concept is erased."""
    return f"{study.results}/erasure/{model}/{concept}/{task}.parquet"


def params(study: Study, model: str, concept: str, task: str) -> dict[str, Any]:
    """What answers under erasure depend on, beside weights, speech and erasers."""
    settings = study.erasure.model_dump(mode="json", include={"per_task", "positions", "text_arm", "seed"})
    return settings | {
        "answer": study.config.answer.deciding("mode"),
        "task": study.task(task).asked(),
        "chat": study.model(study.text_model(model)).chat,
        "code": resolve.code_opening(study, "answer_erased", [model], *code_of(task)),
    }


def need(study: Study, model: str, concept: str, task: str) -> Need:
    """Of answering while a concept is erased: every variant, both arms."""
    erasure = study.erasure
    # The model as it is is read once more, to compare with.
    ways = sum(variants(study, concept).values()) + 1
    asked = needs.of_task(study, task, min(erasure.per_task, study.items_of(task)) * ways, model=model)
    return needs.asking_need(study, "speech-llm", opened_models.weights(study, model), asked)
