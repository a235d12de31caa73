"""The stage that transcribes: with a recogniser, a speech LLM, or the true texts."""

from typing import Any

from cascade_equivalence.config.study import GIVEN
from cascade_equivalence.stages import needs
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need, model_need
from cascade_equivalence.stages.study import Node, Study


def file(study: Study, asr: str, task: str, condition: str) -> str:
    """Transcripts of a task in one condition, all voices."""
    return f"{study.results}/transcripts/{asr}/{task}/{condition}.parquet"


def all_files(study: Study) -> list[str]:
    """Every transcripts file."""
    return [file(study, asr, n.task, n.condition) for asr in study.asrs for n in study.heard_nodes(asr)]


def nodes(study: Study, asr: str) -> list[Node]:
    """Every (task, condition) that is transcribed."""
    return [*study.heard_nodes(asr), *study.silent_nodes]


def params(study: Study, asr: str) -> dict[str, Any]:
    """What transcripts depend on, beside weights and speech. The batch size is a matter of speed."""
    if asr in study.recogniser_services:
        service = study.recogniser_services[asr].identity()
        return {"service": service, "code": code_fingerprint("transcribe_api")}
    if not study.hearing_models(asr):
        return {"code": code_fingerprint("transcripts")}
    if not study.is_speech_llm(asr):
        settings = study.config.transcribe.model_dump(mode="json", exclude={"batch_size"})
        return settings | {"code": code_fingerprint("transcribe")}
    spec = study.model(asr)
    prompt = spec.transcription.model_dump(mode="json") if spec.transcription else None
    return study.answer_settings() | {
        "prompt": prompt,
        "chat": study.model(study.text_model(asr)).chat,
        "code": "".join(map(code_fingerprint, ("answer", "listen", "transcripts"))),
    }


def need(study: Study, asr: str, task: str, condition: str) -> Need:
    """Of an ASR, a speech LLM or the true texts, as transcripts."""
    clips = study.clip_count(task, condition)
    if asr in GIVEN:
        return counting_need(0, 0).clips_kept(clips)
    if study.is_speech_llm(asr):
        return needs.asking_need(study, "speech-llm", study.transcribing_models(asr), clips)
    models, settings = study.transcribing_models(asr), study.config.transcribe
    gpu = bool(needs.gpus(study, "transcribe"))
    return model_need("asr", needs.billions(study, *models), clips, settings.batch_size, gpu)
