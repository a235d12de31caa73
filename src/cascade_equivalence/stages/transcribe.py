"""The stage that transcribes: with a recogniser, a speech LLM, or the true texts."""

from collections.abc import Iterator
from typing import Any

from cascade_equivalence.config.sources import DegradedSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.stages import items, needs, resolve
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need, model_need
from cascade_equivalence.stages.study import Study

OUTSIDE, DEGRADED = "models/transcription/outside.py", "models/transcription/degraded.py"
RUN, NODES = "models/transcription/run.py", "nodes/*"
"""What reads transcripts of other programs, what adds errors, what runs recognisers, what asks speech LLMs."""


def file(study: Study, asr: str, task: str, condition: str) -> str:
    """Transcripts of a task in one condition, all voices."""
    return f"{study.results}/transcripts/{asr}/{task}/{condition}.parquet"


def all_files(study: Study) -> list[str]:
    """Every transcripts file."""
    return [file(study, asr, n.task, n.condition) for asr in study.asrs for n in study.heard_nodes(asr)]


def made_from(study: Study, asr: str, task: str, condition: str) -> list[str]:
    """Transcripts that others are made from: those to degrade, and those with the rate to reach; none of others."""
    source = study.transcripts_of(asr)
    if not isinstance(source, DegradedSource):
        return []
    return [file(study, who, task, condition) for who in (source.asr, source.reference)]


def params(study: Study, asr: str) -> dict[str, Any]:
    """What transcripts depend on, beside weights and speech. The batch size is a matter of speed."""
    if asr in study.recogniser_services:
        service = study.recogniser_services[asr].identity()
        return {"service": service, "code": code_fingerprint("transcribe_api")}
    if (source := study.transcripts_of(asr)) is not None:
        if isinstance(source, DegradedSource):
            made = source.model_dump(mode="json")
            return made | {"code": code_fingerprint("transcribe", without=(RUN, NODES, OUTSIDE))}
        files = sorted(contents_of(source.files, study.remembered_hashes).values(), key=str)
        code = code_fingerprint("transcribe", without=(RUN, NODES, DEGRADED))
        return {"files": files, "columns": dict(source.columns), "code": code}
    if not study.hearing_models(asr):
        return {"code": resolve.code_opening(study, "transcribe", [], without=(RUN, OUTSIDE, DEGRADED))}
    if not study.is_speech_llm(asr):
        settings = study.config.transcribe.model_dump(mode="json", exclude={"batch_size"})
        return settings | {"code": code_fingerprint("transcribe", without=(OUTSIDE, NODES, DEGRADED))}
    spec = study.model(asr)
    prompt = spec.transcription.model_dump(mode="json") if spec.transcription else None
    models, without = study.transcribing_models(asr), (RUN, OUTSIDE, DEGRADED)
    return study.config.answer.deciding() | {
        "prompt": prompt,
        "chat": study.model(study.text_model(asr)).chat,
        "code": resolve.code_opening(study, "transcribe", models, without=without),
    }


def problems(study: Study) -> Iterator[str]:
    """Say which transcripts of other programs are missing, doubled or not to be read; a line a node.

    Of a set that is not fetched yet the items are not known, so that none is called missing.
    """
    from cascade_equivalence.models.transcription.outside import outside_transcripts

    for asr in study.asrs:
        source = study.transcripts_of(asr)
        if source is None or isinstance(source, DegradedSource):
            continue
        for node in study.heard_nodes(asr):
            try:
                planned, basis = items.planned(study, node.task)
                voices = study.voices_of(node.task, node.condition)
                known = [(item.id, voice) for voice in voices for item in planned] if basis == "items" else None
                outside_transcripts(asr, source, node.task, node.condition, voices, known)
            except StudyError as error:
                yield str(error)


def gpus(study: Study, asr: str) -> int:
    """GPUs of a source of transcripts: none where no model hears; a speech LLM is asked as for its answers."""
    if not study.hearing_models(asr):
        return 0
    return needs.gpus(study, "answer" if study.is_speech_llm(asr) else "transcribe")


def need(study: Study, asr: str, task: str, condition: str) -> Need:
    """Of an ASR, a speech LLM or the true texts, as transcripts."""
    clips = study.clip_count(task, condition)
    if not study.hearing_models(asr):
        return counting_need(0, 0).clips_named(clips)
    if study.is_speech_llm(asr):
        # More than is said: some write on.
        asked = needs.of_task(study, task, clips, 2 * needs.spoken_tokens(task), study.listener(asr))
        return needs.asking_need(study, "speech-llm", study.transcribing_models(asr), asked)
    models, settings = study.transcribing_models(asr), study.config.transcribe
    gpu = bool(gpus(study, asr))
    asked = needs.of_task(study, task, clips, min(needs.spoken_tokens(task), settings.max_new_tokens))
    return model_need("asr", needs.billions(study, *models), asked, settings.batch_size, gpu)
