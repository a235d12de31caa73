"""Folders with one recording an item."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.provider import Provider, Reading, VoiceProvider

if TYPE_CHECKING:
    from cascade_equivalence.speech.clips import Clip


@contextmanager
def _open(spec: RecordingsVoice, _: Event | None) -> Iterator[Provider]:
    raise StudyError(
        f"The recordings in {spec.folder} are of a study's items; they cannot say anything else: choose a voice of "
        "another provider."
    )
    yield


def _read(asked: Reading) -> "list[Clip]":
    from cascade_equivalence.speech.recordings_voice import read_recordings

    return read_recordings(asked.items, asked.task, asked.voice, asked.spec, asked.max_seconds, asked.store)


def _files(spec: RecordingsVoice, task: str) -> Mapping[str, Path]:
    from cascade_equivalence.speech.recordings_files import list_recordings

    return list_recordings(spec, task)


RECORDINGS = VoiceProvider(
    name="recordings",
    spec=RecordingsVoice,
    open=_open,
    prosody=True,
    read=_read,
    files=_files,
    modules=("speech/recordings*.py",),
)
