"""The stage that draws the utterances on which models are opened, and measures their acoustics."""

from typing import Any

from cascade_equivalence.stages import items, opened_models, speech
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study

TRACKING = 2.0
"""Seconds on one core for an utterance: pitch (pYIN)."""


def voices(study: Study, task: str) -> list[str]:
    """Voices that take turns in a task, or all speak each item."""
    return list(study.mechanism.states.voices) or study.voices_of(task)


def file(study: Study) -> str:
    """The utterances that models are watched on."""
    return f"{study.results}/mechanism/utterances.parquet"


def clips(study: Study) -> list[str]:
    """Speech that the utterances are drawn from."""
    return [speech.file(study, task, voice) for task in study.mechanism.states.tasks for voice in voices(study, task)]


def item_files(study: Study) -> list[str]:
    """Items that the utterances speak."""
    return [items.file(study, task) for task in study.mechanism.states.tasks]


def params(study: Study) -> dict[str, Any]:
    """What the utterances and their acoustic targets depend on, beside the speech."""
    states, probes = study.mechanism.states, study.mechanism.probes
    return {
        "tasks": states.tasks,
        "per_task": states.per_task,
        "seed": states.seed,
        "test_share": probes.test_share,
        "pitch": [probes.pitch_low, probes.pitch_high],
        **({"every_voice": True} if states.every_voice else {}),
        "code": code_fingerprint("draw_utterances"),
    }


def need(study: Study) -> Need:
    """Of drawing utterances and tracking their pitch."""
    return counting_need(2000, TRACKING * opened_models.utterance_count(study)).clips_named(
        opened_models.utterance_count(study)
    )
