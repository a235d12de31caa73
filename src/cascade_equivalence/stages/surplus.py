"""The stage that measures what the audio of a task tells beyond its transcripts."""

from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.stages import speech, transcribe, utterances
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study


def file(study: Study, task: str) -> str:
    """What the audio of a task tells beyond its transcripts."""
    return f"{study.results}/surplus/{task}.json"


def all_files(study: Study) -> list[str]:
    """Every surplus file."""
    return [file(study, task) for task in study.config.surplus.tasks]


def clips(study: Study, task: str) -> list[str]:
    """Speech that is heard."""
    return [speech.file(study, task, voice) for voice in study.config.surplus.voices or study.voices_of(task)]


def transcripts(study: Study, task: str) -> list[str]:
    """Transcripts that are read; none for the text that was spoken."""
    asr = study.config.surplus.asr
    return [] if asr is None else [transcribe.file(study, asr, task, CLEAN)]


def params(study: Study, task: str) -> dict[str, Any]:
    """What a surplus depends on, beside speech, transcripts and items."""
    settings = study.config.surplus.model_dump(mode="json", exclude={"tasks", "voices"})
    sampling = study.config.statistics.model_dump(mode="json", include={"draws", "confidence"})
    return settings | sampling | {"task": task, "code": code_fingerprint("measure_surplus")}


def need(study: Study, task: str) -> Need:
    """Of measuring what a task's audio tells beyond its transcripts: pitch, and nested classifiers."""
    clips = study.items_of(task) * len(study.config.surplus.voices or study.voices_of(task))
    return counting_need(2000, 5 * utterances.TRACKING * clips).clips_named(clips)
