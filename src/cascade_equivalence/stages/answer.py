"""The stage in which systems answer: a cascade from transcripts, a speech LLM from speech."""

from typing import Any

from cascade_equivalence.config.augmented import TAGS, AugmentedSpec
from cascade_equivalence.config.study import ByItself, E2ESpec
from cascade_equivalence.stages import needs, resolve, speech, transcribe, voice_words
from cascade_equivalence.stages.fingerprint import code_of
from cascade_equivalence.stages.needs import Need
from cascade_equivalence.stages.study import Study

SHARES = "shares"
"""Folder of the files of shares."""
LEAST_SHARE = 256
"""Clips of a share, at least: as many as a speech LLM hears at once."""


def file(study: Study, system: str, task: str, condition: str) -> str:
    """Answers of a system to a task in one condition, all voices."""
    return f"{study.results}/answers/{system}/{task}/{condition}.parquet"


def all_files(study: Study) -> list[str]:
    """Every answers file."""
    return [file(study, system, n.task, n.condition) for system in study.config.systems for n in study.nodes_of(system)]


def shares(study: Study, system: str, task: str, condition: str) -> list[str]:
    """Files of the shares into which a node is split; none where one job answers all."""
    count = min(study.config.answer.shares.get(system, 1), study.clip_count(task, condition) // LEAST_SHARE)
    folder = f"{study.results}/{SHARES}/{system}/{task}/{condition}"
    return [f"{folder}/{number}-of-{count}.parquet" for number in range(1, count + 1)] if count > 1 else []


def heard(study: Study, system: str, task: str, condition: str) -> list[str]:
    """What a system answers from: a cascade from transcripts (and what it is told beside), a speech LLM from speech."""
    spec = study.system(system)
    if isinstance(spec, ByItself):
        return speech.files_of(study, task, condition)
    return [transcribe.file(study, spec.asr, task, condition), *voice_words.files_of(study, system, task, condition)]


def params(study: Study, system: str, task: str, script: str = "answer") -> dict[str, Any]:
    """What answers depend on, beside weights and what is heard, where a script asks for them."""
    engine = study.engine_of(system)
    without = () if engine == "vllm" else ("models/vllm_answers.py",)
    models, spec = study.answering_models(system), study.system(system)
    # The words of tags stand in no entry.
    told = {"told": {tag: TAGS[tag] for tag in spec.tags}} if isinstance(spec, AugmentedSpec) else {}
    return study.config.answer.deciding() | {
        "engine": engine,
        "task": study.task(task).asked(),
        "system": spec.model_dump(mode="json") | told,
        "chat": study.model(study.backbone(system)).chat,
        "code": resolve.code_opening(study, script, models, *code_of(task), without=without),
    }


def need(study: Study, system: str, task: str, condition: str) -> Need:
    """Of a system that answers, or of a node that puts the answers of shares together."""
    if shares(study, system, task, condition):
        return needs.counting_need(needs.ROW * study.clip_count(task, condition), 0)
    return share_need(study, system, task, condition)


def share_need(study: Study, system: str, task: str, condition: str, number: str = "1", of: str = "1") -> Need:
    """Of one of so many shares of a node, whichever its number."""
    models = study.answering_models(system)
    spec = study.system(system)
    role, hears = ("speech-llm", spec.model) if isinstance(spec, E2ESpec) else ("llm", "")
    asked = needs.of_task(study, task, study.clip_count(task, condition) / int(of), model=hears)
    return needs.asking_need(study, role, models, asked)


def gpus(study: Study, system: str, task: str, condition: str) -> int:
    """GPUs of a system that answers; none where shares have."""
    return 0 if shares(study, system, task, condition) else needs.gpus(study, "answer")
