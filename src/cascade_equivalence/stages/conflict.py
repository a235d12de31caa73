"""The stage that asks about two texts at once, one heard and one typed."""

from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.check_conflict import conflict_pairs
from cascade_equivalence.config.study import E2ESpec
from cascade_equivalence.stages import answer, needs, resolve, speech
from cascade_equivalence.stages.fingerprint import code_of
from cascade_equivalence.stages.needs import Need
from cascade_equivalence.stages.study import Study

ASKED = 2
"""Each prompt is answered as the study answers, and its labels are scored."""


def systems(study: Study) -> list[str]:
    """Systems that are asked, in the study's order."""
    chosen = study.config.conflict.systems or {name for pair in conflict_pairs(study.config) for name in pair}
    return [name for name in study.config.systems if name in chosen]


def voice(study: Study, task: str) -> str:
    """The one voice in which a task is heard."""
    return study.config.conflict.voice or study.voices_of(task)[0]


def file(study: Study, system: str, task: str) -> str:
    """What a system answers where what it hears and what is typed disagree."""
    return f"{study.results}/conflict/{system}/{task}.parquet"


def all_files(study: Study) -> list[str]:
    """Every such file of the study."""
    return [file(study, system, task) for task in study.config.conflict.tasks for system in systems(study)]


def heard(study: Study, system: str, task: str) -> list[str]:
    """What a system takes in of the one text: the clips, or transcripts of all voices."""
    if isinstance(study.system(system), E2ESpec):
        return [speech.file(study, task, voice(study, task))]
    return answer.heard(study, system, task, CLEAN)


def params(study: Study, system: str, task: str) -> dict[str, Any]:
    """What a node depends on, beside weights, items and what is heard."""
    settings = study.config.conflict.model_dump(mode="json", include={"per_task", "wordings", "seed"})
    return (
        settings
        | study.config.answer.deciding()
        | {
            "voice": voice(study, task),
            "task": study.task(task).asked(),
            "chat": study.model(study.backbone(system)).chat,
            "code": resolve.code_opening(study, "answer_conflict", study.answering_models(system), *code_of(task)),
        }
    )


def prompts(study: Study, task: str) -> int:
    """Prompts of a node."""
    settings = study.config.conflict
    return ASKED * min(settings.per_task // 2 * 2, study.items_of(task)) * len(settings.wordings)


def need(study: Study, system: str, task: str) -> Need:
    """Of one node."""
    spec = study.system(system)
    role, hears = ("speech-llm", spec.model) if isinstance(spec, E2ESpec) else ("llm", "")
    asked = needs.of_task(study, task, prompts(study, task), model=hears)
    return needs.asking_need(study, role, study.answering_models(system), asked)
