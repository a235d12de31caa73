"""Checks of the section `conflict`: which pairs it can be about, and names that are wrong."""

from collections.abc import Iterator

from cascade_equivalence.config.elsewhere import answers_elsewhere
from cascade_equivalence.config.explain import repeated, unknown
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.spoken import clean_voices
from cascade_equivalence.config.study import CascadeSpec, E2ESpec, StudyConfig


def conflict_pairs(study: StudyConfig) -> list[tuple[str, str]]:
    """Pairs of a speech LLM and a cascade that are both asked, in the study's order; it has no others to show."""
    known, chosen = study.definitions.systems, study.conflict.systems or study.systems
    pairs = [(pair.system, pair.reference) for pair in study.pairs]
    return [
        names
        for names in pairs
        if {type(known.get(name)) for name in names} == {E2ESpec, CascadeSpec}
        and not any(name not in chosen or answers_elsewhere(study, name) for name in names)
    ]


def conflict_problems(study: StudyConfig) -> Iterator[str]:
    """What is wrong with the section `conflict`, a line a problem."""
    conflict, systems = study.conflict, study.definitions.systems
    yield from repeated("conflict.tasks", conflict.tasks)
    yield from repeated("conflict.systems", conflict.systems)
    yield from unknown("conflict.systems", conflict.systems, study.systems, "selected system")
    for name in conflict.systems:
        if name in study.systems and not isinstance(systems.get(name), CascadeSpec | E2ESpec):
            yield f"conflict.systems: {name!r} is neither a speech LLM (e2e) nor a cascade; leave it out"
        elif name in study.systems and answers_elsewhere(study, name):
            yield f"conflict.systems: {name!r} answers elsewhere, and here its labels are scored; leave it out"
    for task in conflict.tasks:
        if not TASKS[task].labels or TASKS[task].has_options:
            yield f"conflict.tasks: the labels of {task} are no words of a closed set; leave it out"
        elif not TASKS[task].text_sufficient:
            yield f"conflict.tasks: the labels of {task} do not lie in the words alone; leave it out"
        if conflict.voice is not None:
            spoken = clean_voices(study, task)
            yield from unknown("conflict.voice", [conflict.voice], spoken, f"voice that speaks {task}:")
    if conflict.tasks and not conflict_pairs(study):
        yield (
            "conflict.tasks: no pair of the study is of a speech LLM and a cascade that are both asked here, so "
            "nothing would be shown; add one to `pairs`, or leave the section out"
        )
