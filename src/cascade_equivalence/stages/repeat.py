"""The stage of systems that are asked again: which, about what, and how far they agree with themselves."""

from dataclasses import dataclass
from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import VARIANTS
from cascade_equivalence.config.repeats import asked_again
from cascade_equivalence.config.study import AnswerConfig, TaskSpec
from cascade_equivalence.stages import agree, answer
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.repeats import AGAIN


@dataclass(frozen=True)
class Retest:
    """A system that is asked again about a task, on clean speech.

    Attributes:
        system: The system.
        variant: What is changed.
        task: The task.
    """

    system: str
    variant: str
    task: str


def retests(study: Study) -> list[Retest]:
    """All that is asked again; none of a task in which the variant cannot change anything."""
    return [Retest(*names) for names in asked_again(study.config)]


def answers(study: Study, system: str, variant: str, task: str) -> str:
    """Answers of a system that is asked again."""
    return answer.file(study, f"{system}{AGAIN}{variant}", task, CLEAN)


def file(study: Study, system: str, variant: str, task: str) -> str:
    """How far a system that is asked again agrees with itself."""
    return agree.file(study, f"{system}~{system}{AGAIN}{variant}", task, CLEAN)


def all_files(study: Study) -> list[str]:
    """Every file on how far a system agrees with itself."""
    return [file(study, each.system, each.variant, each.task) for each in retests(study)]


def asked_with(study: Study, variant: str, task: str) -> TaskSpec:
    """How a task is asked under a variant."""
    from cascade_equivalence.tasks.registry import get_task

    spec = VARIANTS[variant].ask(get_task(task), study.task(task))
    assert spec is not None, f"{variant} changes nothing in {task}"
    return spec


def changed(variant: str, answering: AnswerConfig) -> dict[str, object]:
    """The settings of answers that a variant changes, with their new values.

    Args:
        variant: The variant.
        answering: How the system answers otherwise, its arithmetic resolved.
    """
    after = VARIANTS[variant].configure(answering).model_dump(mode="json")
    return {name: after[name] for name, value in answering.model_dump(mode="json").items() if after[name] != value}


def answer_params(study: Study, system: str, variant: str, task: str) -> dict[str, Any]:
    """What the answers of a system that is asked again depend on, beside weights and what is heard."""
    after = {"variant": variant, **changed(variant, study.answering(system))}
    asked = {"task": asked_with(study, variant, task).asked()}
    return answer.params(study, system, task, "answer_again") | asked | {"again": after}


def params(study: Study) -> dict[str, Any]:
    """What it depends on how far a system agrees with itself, beside the answers."""
    settings = study.config.statistics.model_dump(mode="json", include={"confidence"})
    return settings | {"code": code_fingerprint("agree_again")}
