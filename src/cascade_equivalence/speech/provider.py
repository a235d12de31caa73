"""What a voice can do, whichever engine speaks."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.speech import VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.prosody import find_style
from cascade_equivalence.speech.voices.base import Provider, Reading

__all__ = ["Provider", "check_styles", "make_clips", "open_provider", "workers"]

if TYPE_CHECKING:
    from cascade_equivalence.speech.clips import Clip
    from cascade_equivalence.speech.synthesize import Utterance


def open_provider(spec: VoiceSpec, stop: Event | None = None) -> AbstractContextManager[Provider]:
    """Start a voice, and stop it at the end of the block.

    Args:
        spec: The voice.
        stop: Set once nobody waits for the voice any more: one that pauses between requests then gives up.

    Returns:
        A context that holds the voice, ready to speak.

    Raises:
        StudyError: If the engine is not installed, the voice does not exist or cannot be fetched, or it is a folder
            of recordings, which say what they say (``recordings_voice.read_recordings``).
    """
    return VOICES.find(spec.provider).open(spec, stop)


def make_clips(
    items: "Sequence[Utterance]",
    task: str,
    voice_name: str,
    spec: VoiceSpec,
    max_seconds: float,
    store: Path,
    threads: int,
) -> "list[Clip]":
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
    from cascade_equivalence.speech.synthesize import synthesize_clips

    if (read := VOICES.find(spec.provider).read) is not None:
        return read(Reading(items, task, voice_name, spec, max_seconds, store))
    return synthesize_clips(items, voice_name, spec, max_seconds, store, workers(spec, threads))


def workers(spec: VoiceSpec, threads: int) -> int:
    """How many of a voice speak side by side: a service's connections, or the processor's threads.

    Args:
        spec: The voice.
        threads: Threads that the job has.
    """
    return VOICES.find(spec.provider).connections_of(spec) or threads


def check_styles(spec: VoiceSpec, voice_name: str, styles: Iterable[str | None]) -> None:
    """Refuse styles that a voice cannot speak in, before it is started.

    Args:
        spec: The voice.
        voice_name: Its name in the config, for the message.
        styles: Styles that will be asked for; None asks for nothing.

    Raises:
        StudyError: If a style is unknown, or any is asked of a voice without control of prosody.
    """
    wanted = sorted({style for style in styles if style is not None})
    for style in wanted:
        find_style(style)
    if wanted and not VOICES.find(spec.provider).prosody:
        able = " or ".join(name for name, provider in VOICES.items() if provider.prosody)
        raise StudyError(
            f"Voice {voice_name} ({spec.provider}) cannot speak in a style ({', '.join(wanted)}): choose a voice of "
            f"{able} for items that carry their label in the voice (`prosody_voices`)."
        )
