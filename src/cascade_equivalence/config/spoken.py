"""Which voices speak in a study: each task's, and all of them."""

from cascade_equivalence.config.names import TASKS, VOICES
from cascade_equivalence.config.study import StudyConfig


def clean_voices(study: StudyConfig, task: str) -> list[str]:
    """Voices that speak a task without noise. Published sets whose label lies in the voice are natural speech."""
    if own := own_voices(study, task):
        return own
    if TASKS[task].styles and (study.items.source == "demo" or study.speech.prosody_voices):
        return study.speech.prosody_voices
    return study.speech.voices


def own_voices(study: StudyConfig, task: str) -> list[str]:
    """Voices that a task has for itself."""
    spec = {str(name): spec for name, spec in study.definitions.tasks.items()}.get(task)
    return spec.voices if spec is not None else []


def all_voices(study: StudyConfig) -> list[str]:
    """Every voice that speaks in a study, if only in the background."""
    own = [voice for task in study.tasks for voice in own_voices(study, task)]
    return list(dict.fromkeys([*study.speech.voices, *study.speech.prosody_voices, *own, *study.noise.babble_voices]))


def recorded_voices(study: StudyConfig) -> list[str]:
    """Voices whose clips are recordings of the items."""
    defined = study.definitions.voices
    return [name for name in all_voices(study) if VOICES[defined[name].provider].is_recorded]


def is_spoken_both_ways(study: StudyConfig, task: str) -> bool:
    """Whether a task's items are heard recorded and synthetic."""
    recorded = set(recorded_voices(study))
    spoken = set(clean_voices(study, task))
    return bool(spoken & recorded) and bool(spoken - recorded)
