"""The stage that takes over answers which others produced: what they depend on, and what is wrong with their files."""

from collections.abc import Iterator
from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import FORMATS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.stages import items
from cascade_equivalence.stages.fingerprint import code_fingerprint, code_of
from cascade_equivalence.stages.study import Study


def params(study: Study, system: str, task: str) -> dict[str, Any]:
    """What an imported system's answers depend on, beside the items: the content of its file, not its place."""
    spec = study.imported[system]
    return {
        "files": sorted(contents_of([spec.answers[task]], study.remembered_hashes).values(), key=str),
        "columns": dict(spec.columns),
        "format": spec.format,
        "task": study.task(task).asked(),
        "voices": study.voices_of(task, CLEAN),
        "code": code_fingerprint("answer_imported", *code_of(task), *FORMATS.all_files()),
    }


def problems(study: Study) -> Iterator[str]:
    """Say which answers of imported systems are missing, doubled or not to be read; a line a file.

    Of a set that is not fetched yet the items are not known, so that none is called missing.
    """
    from cascade_equivalence.imported.outside import outside_answers

    for name, spec in study.imported.items():
        for node in study.nodes_of(name):
            try:
                planned, basis = items.planned(study, node.task)
                known = [item.id for item in planned] if basis == "items" else None
                outside_answers(name, spec, node.task, known, study.voices_of(node.task, CLEAN))
            except StudyError as error:
                yield str(error)
