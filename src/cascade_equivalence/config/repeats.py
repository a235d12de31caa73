"""Which systems are asked again about which tasks, and what is wrong with what a study says of it."""

from collections.abc import Iterator

from cascade_equivalence.config.elsewhere import answers_elsewhere, answers_through_endpoint
from cascade_equivalence.config.explain import repeated, unknown
from cascade_equivalence.config.names import TASKS, VARIANTS
from cascade_equivalence.config.study import StudyConfig


def asked_again(study: StudyConfig) -> Iterator[tuple[str, str, str]]:
    """System, variant and task of all that is asked again, in the order of the study."""
    for system in _systems(study):
        for variant in study.statistics.repeats:
            for task in _tasks(study):
                if _takes(study, variant, task):
                    yield system, variant, task


def repeat_problems(study: StudyConfig) -> Iterator[str]:
    """Say what is wrong with the repeats of a study whose sections are each valid; one line a problem."""
    chosen = study.statistics
    yield from unknown("statistics.repeat_systems", chosen.repeat_systems, study.systems, "selected system")
    for key in sorted(chosen.asked_again()):
        yield from repeated(f"statistics.{key}", getattr(chosen, key))
    for name in chosen.repeat_systems:
        if answers_elsewhere(study, name):
            yield f"statistics.repeat_systems: {name!r} answers elsewhere, where nothing is asked twice; leave it out"
    if chosen.repeats and not _systems(study):
        yield "statistics.repeats: all systems of this study answer elsewhere, where nothing is asked twice"
    if chosen.repeats and not chosen.repeat_systems and _systems(study):
        # Of systems of kind api nobody expects it; a cascade looks like those that can be.
        far = [name for name in study.systems if answers_through_endpoint(study, name)]
        if far:
            yield (
                f"statistics.repeats: {', '.join(far)} {'answers' if len(far) == 1 else 'answer'} through an endpoint, "
                "where nothing is asked twice; name the systems that are asked again in statistics.repeat_systems"
            )
    for name in chosen.repeats:
        if name in VARIANTS:
            yield from _task_problems(study, name)


def _task_problems(study: StudyConfig, name: str) -> Iterator[str]:
    known = [task for task in _tasks(study) if task in study.definitions.tasks]
    if key := VARIANTS[name].key:
        for task in known:
            if not getattr(study.definitions.tasks[task], key):
                yield (
                    f"tasks.{task}.{key}: statistics.repeats names {name}, so say how this task is asked again, or "
                    "leave it out of statistics.repeat_tasks"
                )
    elif changes_nothing(study, name):
        yield f"statistics.repeats: {name} changes nothing in {', '.join(known)}; leave it out"


def changes_nothing(study: StudyConfig, variant: str) -> bool:
    """Whether a variant asks none of the tasks that are asked again in another way."""
    known = [task for task in _tasks(study) if task in study.definitions.tasks]
    return bool(known) and not any(_takes(study, variant, task) for task in known)


def _systems(study: StudyConfig) -> list[str]:
    names = study.statistics.repeat_systems or study.systems
    return [name for name in names if not answers_elsewhere(study, name)]


def _tasks(study: StudyConfig) -> list[str]:
    return [*(study.statistics.repeat_tasks or study.tasks)]


def _takes(study: StudyConfig, variant: str, task: str) -> bool:
    specs = {str(name): spec for name, spec in study.definitions.tasks.items()}
    return VARIANTS[variant].ask(TASKS[task], specs[task]) is not None
