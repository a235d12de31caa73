"""The stage that captures the states of opened models, a file a layer."""

from typing import Any

from cascade_equivalence.stages import needs, opened_models, resolve
from cascade_equivalence.stages.needs import Need, model_need
from cascade_equivalence.stages.study import Study


def file(study: Study, opened: str, layer: int) -> str:
    """States of one layer."""
    return f"{study.results}/states/{opened}/layer{layer}.safetensors"


def all_files(study: Study, opened: str) -> list[str]:
    """States of all layers of an opened model."""
    return [file(study, opened, layer) for layer in opened_models.layers(study, opened)]


def index(study: Study, opened: str) -> str:
    """Index of an opened model's states."""
    return f"{study.results}/states/{opened}/index.parquet"


def params(study: Study, opened: str) -> dict[str, Any]:
    """What states depend on, beside weights and utterances."""
    model = opened_models.original(opened)
    settings: dict[str, Any] = {
        "layers": opened_models.layers(study, opened),
        "positions": study.mechanism.states.positions,
        "seed": study.mechanism.states.seed if opened != model else None,
    }
    if not study.is_speech_llm(model):
        code = resolve.code_opening(study, "capture_states", [model], without=["models/answering.py"])
        return settings | {"dtype": study.config.transcribe.dtype, "code": code}
    prompts = {task: study.task(task).asked() for task in study.mechanism.states.tasks}
    return settings | {
        "dtype": study.config.answer.dtype,
        "system_prompt": study.config.answer.system_prompt,
        "prompts": prompts,
        "chat": study.model(study.text_model(model)).chat,
        "code": resolve.code_opening(study, "capture_states", [model]),
    }


def need(study: Study, opened: str) -> Need:
    """Of capturing an opened model's states."""
    states = study.mechanism.states
    role = "speech-llm" if study.is_speech_llm(opened_models.original(opened)) else "asr"
    size = needs.billions(study, *opened_models.weights(study, opened))
    # The states of all layers go to disk batch by batch.
    asked = needs.Asks(opened_models.utterance_count(study), written=0)
    return model_need(role, size, asked, states.batch_size, bool(opened_models.gpus(study)))
