"""The stages that read a speech LLM's layers through its unembedding: the logit lens, implicit transcripts."""

from typing import Any

from cascade_equivalence.stages import needs, opened_models, resolve
from cascade_equivalence.stages.needs import Asks, Need, model_need
from cascade_equivalence.stages.study import Study


def file(study: Study, model: str, layer: int) -> str:
    """What the logit lens shows of a layer."""
    return f"{study.results}/lens/{model}/layer{layer}.parquet"


def params(study: Study, model: str) -> dict[str, Any]:
    """What the logit lens depends on, beside states and weights."""
    text = study.text_model(model)
    code = resolve.code_opening(study, "read_lens", [text])
    return study.mechanism.lens.model_dump(mode="json") | {"chat": study.model(text).chat, "code": code}


def implicit_params(study: Study, asr: str, task: str) -> dict[str, Any]:
    """What implicit transcripts depend on, beside weights and speech."""
    return {
        "dtype": study.config.answer.dtype,
        "system_prompt": study.config.answer.system_prompt,
        "prompt": study.task(task).asked(),
        "chat": study.model(study.text_model(study.listener(asr))).chat,
        "code": resolve.code_opening(study, "implicit_transcripts", study.transcribing_models(asr)),
    }


def implicit_need(study: Study, lens: str, task: str, condition: str) -> Need:
    """Of reading a speech LLM's last layer."""
    asked = needs.of_task(study, task, study.clip_count(task, condition), 0, study.listener(lens))
    return needs.asking_need(study, "speech-llm", study.transcribing_models(lens), asked)


def need(study: Study, model: str) -> Need:
    """Of reading a layer through the unembedding; the tuned lens trains on it."""
    size, gpu = needs.billions(study, study.text_model(model)), bool(opened_models.gpus(study))
    need = model_need("llm", size, Asks(opened_models.utterance_count(study), written=0), 1, gpu)
    return Need(need.megabytes + opened_models.states_megabytes(study, model), need.minutes + 60, need.threads)
