"""Clips of a task in one voice, whether the voice speaks or was recorded."""

from collections.abc import Sequence
from pathlib import Path

from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.speech import VoiceSpec
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.speech.provider import Reading, workers
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips


def make_clips(
    items: Sequence[Utterance],
    task: str,
    voice_name: str,
    spec: VoiceSpec,
    max_seconds: float,
    store: Path,
    threads: int,
) -> list[Clip]:
    """Clips of a task's items in one voice: spoken, or read where the voice is recorded.

    Args:
        items: What to say; ids must differ.
        task: Their task.
        voice_name: Name of the voice in the config, for the record.
        spec: The voice.
        max_seconds: Longest clip that the models hear whole; longer ones get a ``problem``.
        store: Folder that keeps finished clips.
        threads: Threads that the job has.

    Returns:
        One clip an item, in the order of the items, problems noted but not yet reported.

    Raises:
        StudyError: If an item cannot be spoken or read.
    """
    if (read := VOICES.find(spec.provider).read) is not None:
        return read(Reading(items, task, voice_name, spec, max_seconds, store))
    return synthesize_clips(items, voice_name, spec, max_seconds, store, workers(spec, threads))
