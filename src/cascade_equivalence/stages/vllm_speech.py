"""Which speech LLMs of a study vLLM can run, as far as their checkpoints are known before anything runs."""

from pathlib import Path

from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.config.study import E2ESpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import ARCHITECTURES, CONFIG
from cascade_equivalence.models.engines import vllm_hearing
from cascade_equivalence.models.sources.folder import location
from cascade_equivalence.stages.study import Study

LEAVE = "set answer.speech_engine to transformers"


def refusal(study: Study, model: str) -> str | None:
    """Why vLLM cannot run a speech LLM; None where it can, or where only the checkpoint will tell.

    Args:
        study: The study.
        model: The model.
    """
    spec = study.model(model)
    if spec.base is not None:
        return f"vLLM has no model for the adapter {model}: {LEAVE}"
    through_another = [each for each in ARCHITECTURES.values() if each.own_text is None and each.vllm is not None]
    if spec.text_model is not None and not through_another:
        return f"vLLM has no model for {model}, which speaks through {spec.text_model}: {LEAVE}"
    folder = Path(study.models, model)
    try:
        if not (folder / CONFIG).is_file() and isinstance(spec.source, PathSource):
            folder = location(spec.source)
        if (folder / CONFIG).is_file():
            vllm_hearing(folder)
    except StudyError as error:
        return str(error)
    return None


def comparable(study: Study, system: str) -> bool:
    """Whether both engines can run a speech LLM, as far as is known: a free answer of one that vLLM has."""
    spec = study.system(system)
    return isinstance(spec, E2ESpec) and study.config.answer.mode == "generate" and refusal(study, spec.model) is None


def check_vllm_speech(study: Study) -> None:
    """Refuse a study that asks vLLM for a speech LLM that it does not have.

    Raises:
        StudyError: It does.
    """
    for name in study.config.systems:
        spec = study.system(name)
        if isinstance(spec, E2ESpec) and study.engine_of(name) == "vllm" and (why := refusal(study, spec.model)):
            raise StudyError(f"answer.speech_engine: vllm cannot answer for the system {name}: {why}")
