"""The stage that says in words what voices tell, for the cascades that are told."""

from typing import Any

from cascade_equivalence.config.augmented import AugmentedSpec
from cascade_equivalence.stages import utterances
from cascade_equivalence.stages.fingerprint import code_fingerprint, code_of
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study

SETTINGS = {"folds", "pitch_low", "pitch_high", "seed"}
"""Of the section `surplus`, whose classifier guesses labels from sound."""


def file(study: Study, asr: str, task: str, condition: str) -> str:
    """What the voices of a task in one condition tell, with the speaking rate by the words of a transcript."""
    return f"{study.results}/voice/{asr}/{task}/{condition}.parquet"


def files_of(study: Study, system: str, task: str, condition: str) -> list[str]:
    """What a system is told of voices; none of any but an augmented cascade."""
    spec = study.system(system)
    return [file(study, spec.asr, task, condition)] if isinstance(spec, AugmentedSpec) else []


def params(study: Study, task: str) -> dict[str, Any]:
    """What the tags depend on, beside speech, transcripts and items."""
    settings = study.config.surplus.model_dump(mode="json", include=SETTINGS)
    return settings | {"task": task, "code": code_fingerprint("describe_voices", *code_of(task))}


def need(study: Study, task: str, condition: str) -> Need:
    """Of describing clips: pitch, and nested classifiers."""
    clips = study.clip_count(task, condition)
    return counting_need(2000, 2 * utterances.TRACKING * clips).clips_named(clips)
