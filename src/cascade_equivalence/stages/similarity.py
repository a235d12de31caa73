"""The stage that sets states of what is heard beside states of the same words read."""

from typing import Any

from cascade_equivalence.config.mechanism import SimilarityConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import needs, opened_models, resolve
from cascade_equivalence.stages.needs import Need, model_need
from cascade_equivalence.stages.study import Study


def settings(study: Study) -> SimilarityConfig:
    """The section of the config.

    Raises:
        StudyError: The study has none.
    """
    if study.mechanism.similarity is None:
        raise StudyError("the study compares no states: add `mechanism.similarity` to ask for that")
    return study.mechanism.similarity


def file(study: Study, model: str) -> str:
    """How alike what a model hears is to what it reads."""
    return f"{study.results}/similarity/{model}.json"


def means(study: Study, model: str) -> str:
    """Mean states of utterances where a model reads them."""
    return f"{study.results}/similarity/{model}.safetensors"


def all_files(study: Study) -> list[str]:
    """Every such file of the study."""
    if study.config.mechanism is None or study.mechanism.similarity is None:
        return []
    return [file(study, model) for model in opened_models.speech_llms(study)]


def params(study: Study, model: str) -> dict[str, Any]:
    """What a node depends on, beside states, weights, speech and items."""
    return settings(study).model_dump(mode="json") | {
        "layers": opened_models.layers(study, model),
        "dtype": study.config.answer.dtype,
        "system_prompt": study.config.answer.system_prompt,
        "prompts": {task: study.task(task).asked() for task in study.mechanism.states.tasks},
        "confidence": study.config.statistics.confidence,
        "chat": study.model(study.text_model(model)).chat,
        "code": resolve.code_opening(study, "compare_hearing", [model]),
    }


def need(study: Study, model: str) -> Need:
    """Of one node: every utterance is read once; then each layer is compared."""
    size, count = needs.billions(study, *opened_models.weights(study, model)), opened_models.utterance_count(study)
    gpu, batch = bool(opened_models.gpus(study)), study.mechanism.states.batch_size
    need = model_need("speech-llm", size, needs.Asks(count, written=0), batch, gpu)
    return Need(need.megabytes + opened_models.states_megabytes(study, model), need.minutes + 60, need.threads)
