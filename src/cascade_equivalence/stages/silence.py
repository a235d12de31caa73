"""The stages of silence: the clips, and the floor under accuracy and agreement, a node a task."""

from typing import Any

from cascade_equivalence.conditions import SILENCE
from cascade_equivalence.stages import answer
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study

SILENCING = 0.1
"""Seconds on one core for an item."""


def file(study: Study, task: str) -> str:
    """What the study's systems answer to a task over silence, and how far pairs of them agree there."""
    return f"{study.results}/silence/{task}.json"


def all_files(study: Study) -> list[str]:
    """Every file on answers over silence."""
    return [file(study, node.task) for node in study.silent_nodes]


def systems(study: Study) -> list[str]:
    """Systems that are asked over silence: what others have answered is there once."""
    return [name for name in study.config.systems if study.is_asked_over_silence(name)]


def pairs(study: Study) -> list[tuple[str, str]]:
    """System and reference of the pairs that are compared over silence."""
    asked = systems(study)
    found = [(pair.system, pair.reference) for pair in study.config.pairs]
    return [pair for pair in found if set(pair) <= set(asked)]


def answers(study: Study, task: str, condition: str) -> list[str]:
    """Answers to a task, in the order of the systems: over silence, or to clean speech."""
    return [answer.file(study, system, task, condition) for system in systems(study)]


def all_answers(study: Study) -> list[str]:
    """Every answers file over silence."""
    return [path for node in study.silent_nodes for path in answers(study, node.task, SILENCE)]


def clip_params(study: Study) -> dict[str, Any]:
    """What silent clips depend on, beside the spoken ones."""
    most = study.config.speech.silence_items
    return {"code": code_fingerprint("silence_speech")} | ({} if most is None else {"items": most})


def clip_need(study: Study, task: str) -> Need:
    """Of putting silence in the place of a task's clips of one voice."""
    items = study.clips_a_voice(task, SILENCE)
    return counting_need(0, SILENCING * items).clips_kept(items)


def params(study: Study) -> dict[str, Any]:
    """What a node depends on, beside the answers."""
    settings = study.config.statistics.model_dump(mode="json", include={"confidence"})
    return settings | {
        "systems": systems(study),
        "pairs": [list(pair) for pair in pairs(study)],
        "code": code_fingerprint("compare_over_silence"),
    }
