"""The stage in which each spoken word is taken out, of what a speech LLM hears and of what its text LLM reads."""

from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.mechanism import AttributionsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import needs, opened_models, resolve, transcribe
from cascade_equivalence.stages.fingerprint import code_of
from cascade_equivalence.stages.needs import Need
from cascade_equivalence.stages.study import Study

HEARINGS, READINGS = 2, 2
"""A word is silenced twice, with two widths; it is left out of the transcript and of the true text."""
WORDS = 14
"""Words of an item, for needs."""


def settings(study: Study) -> AttributionsConfig:
    """The section of the config.

    Raises:
        StudyError: The study has none.
    """
    if study.mechanism.attributions is None:
        raise StudyError("the study takes no words out: add `mechanism.attributions` to ask for that")
    return study.mechanism.attributions


def voice(study: Study, task: str) -> str:
    """The one voice in which a task is heard."""
    return settings(study).voice or study.voices_of(task)[0]


def timing(study: Study) -> str:
    """The Whisper that finds the words."""
    return settings(study).timing or settings(study).asr


def transcripts(study: Study, task: str) -> str:
    """What the recogniser heard."""
    return transcribe.file(study, settings(study).asr, task, CLEAN)


def file(study: Study, model: str, task: str) -> str:
    """What each word is to the answers of a model."""
    return f"{study.results}/attributions/{model}/{task}.parquet"


def all_files(study: Study) -> list[str]:
    """Every such file of the study."""
    if study.config.mechanism is None or study.mechanism.attributions is None:
        return []
    return [file(study, model, task) for model in opened_models.speech_llms(study) for task in settings(study).tasks]


def params(study: Study, model: str, task: str) -> dict[str, Any]:
    """What a node depends on, beside weights, speech, transcripts and items."""
    return settings(study).model_dump(mode="json", include={"per_task", "seed"}) | {
        "answer": study.config.answer.deciding("mode"),
        "task": study.task(task).asked(),
        "chat": study.model(study.text_model(model)).chat,
        "code": resolve.code_opening(study, "attribute_words", [model], *code_of(task)),
    }


def need(study: Study, model: str, task: str) -> Need:
    """Of one node."""
    rows = min(settings(study).per_task, study.items_of(task)) * (1 + WORDS) * (HEARINGS + READINGS)
    models = [*opened_models.weights(study, model), timing(study)]
    return needs.asking_need(study, "speech-llm", models, needs.of_task(study, task, rows, 0, model))
