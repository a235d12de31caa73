"""Recorded speech: natural speech, or speech made elsewhere, one file an item."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal

import soundfile

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.audit import find_problem
from cascade_equivalence.speech.clips import Clip, hash_audio
from cascade_equivalence.speech.recordings_files import SHOWN, find_recordings
from cascade_equivalence.speech.store import ClipStore, clip_key
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, decode_flac, encode_flac, resample

_SIZED: dict[bytes, Literal["little", "big"]] = {b"RIFF": "little", b"FORM": "big"}  # WAV, AIFF
UNKNOWN_SIZE = 0x7FFF0000
SLACK = 64
"""Bytes by which some programs are wrong about the size."""


def read_recordings(
    items: Sequence[Utterance], task: str, voice_name: str, spec: RecordingsVoice, max_seconds: float, store: Path
) -> list[Clip]:
    """Read the recordings of items; what is in the store already is not decoded again.

    A recording goes by the hash of its file: one that has changed is another clip, and one that was only moved is not.
    An item's style is the speaker's business: the recording has it, or has not.

    Args:
        items: What is said; ids must differ.
        task: Their task.
        voice_name: Name of the voice in the config, for the record.
        spec: The folder.
        max_seconds: Longest clip that the models hear whole; longer ones get a ``problem``.
        store: Folder that keeps finished clips. Any number of runs may share it.

    Returns:
        One clip an item, in the order of the items, problems noted but not yet reported.

    Raises:
        StudyError: If recordings are missing, ambiguous, or cannot be read; all such items are told at once.
    """
    paths = find_recordings(spec, task, (item.id for item in items))
    shelf = ClipStore(store)
    clips: list[Clip] = []
    broken: list[str] = []
    with progress(f"Recordings, voice {voice_name}", total=len(items)) as advance:
        for item in items:
            path = paths[item.id]
            try:
                clips.append(_clip(item, path.relative_to(spec.folder), voice_name, spec, max_seconds, shelf))
            except StudyError as error:
                broken.append(f"{path}: {error}")
            advance()
    if broken:
        more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        raise StudyError(
            f"{len(broken)} recordings of {task} cannot be used; mend or replace them:\n"
            + "\n".join(broken[:SHOWN])
            + more
        )
    return clips


def decode_recording(content: bytes) -> Waveform:
    """Decode a sound file of any format, rate and number of channels.

    Args:
        content: The file's bytes.

    Returns:
        The mean of its channels at 16 kHz, shape (n,).

    Raises:
        StudyError: If it is no sound, or ends before its own header says. An Ogg file does not say it.
    """
    order = _SIZED.get(content[:4])
    size = int.from_bytes(content[4:8], order) if order else 0
    # libsndfile takes what there is. A program that could not know the size gives the largest there is, or none.
    if len(content) + SLACK < size < UNKNOWN_SIZE:
        raise StudyError(f"it breaks off after {len(content)} of {size + 8} bytes.")
    try:
        with soundfile.SoundFile(BytesIO(content)) as file:
            audio = file.read(dtype="float32", always_2d=True)
            if len(audio) < file.frames:
                raise StudyError(f"it breaks off after {len(audio) / file.samplerate:.1f} s.")
            return resample(audio.mean(axis=1), file.samplerate)
    except soundfile.LibsndfileError as error:
        raise StudyError("it cannot be read as sound: it is damaged, or no sound file.") from error


def _clip(
    item: Utterance, name: Path, voice_name: str, spec: RecordingsVoice, max_seconds: float, shelf: ClipStore
) -> Clip:
    try:
        content = (spec.folder / name).read_bytes()
    except OSError as error:
        raise StudyError(f"it cannot be read ({error.strerror}).") from error
    identity = f"recording {hash_audio(content)}"
    key = clip_key(identity, spec, item.text, item.style)
    flac = shelf.get(key)
    if flac is None:
        flac = encode_flac(decode_recording(content))
        shelf.put(key, flac)
    audio = decode_flac(flac)
    return Clip(
        id=item.id,
        voice=voice_name,
        flac=flac,
        sampling_rate=SAMPLING_RATE,
        seconds=audio.size / SAMPLING_RATE,
        provider=f"{identity}, {name.as_posix()}",
        text=item.text,
        sha256=hash_audio(flac),
        problem=find_problem(audio, max_seconds),
    )
