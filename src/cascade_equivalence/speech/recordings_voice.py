"""Recorded speech: natural speech, or speech made elsewhere, one file an item."""

from collections.abc import Sequence
from pathlib import Path

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.audit import find_problem, remark_on_recording
from cascade_equivalence.speech.clips import Clip, hash_audio
from cascade_equivalence.speech.recordings_decoding import decode_recording, kept_rate
from cascade_equivalence.speech.recordings_files import find_recordings
from cascade_equivalence.speech.store import ClipStore, clip_key
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.speech.waveform import SAMPLING_RATE, decode_flac, encode_flac

LARGEST = 2**30
"""Bytes of a file that is read; an hour of 16-bit stereo at 48 kHz has fewer."""
EXPLAINED = 20
"""Recordings of which a message says what is wrong; further ones are named."""


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
        One clip an item, in the order of the items, each with sound in it; other problems are noted but not yet
        reported.

    Raises:
        StudyError: If recordings are missing or ambiguous; or if any cannot be read or have no sound, all of which are
            told at once.
    """
    paths = find_recordings(spec, task, (item.id for item in items))
    shelf = ClipStore(store)
    clips: list[Clip] = []
    broken: dict[str, str] = {}
    with progress(f"Recordings, voice {voice_name}", total=len(items)) as advance:
        for item in items:
            path = paths[item.id]
            try:
                clips.append(_clip(item, path.relative_to(spec.folder), voice_name, spec, max_seconds, shelf))
            except StudyError as error:
                broken[path.relative_to(spec.folder).as_posix()] = str(error)
            advance()
    if broken:
        raise StudyError(_explain(broken, spec, task, voice_name, len(items)))
    return clips


def _clip(
    item: Utterance, name: Path, voice_name: str, spec: RecordingsVoice, max_seconds: float, shelf: ClipStore
) -> Clip:
    try:
        if (size := (spec.folder / name).stat().st_size) > LARGEST:
            raise StudyError(f"it has {size:,} bytes, which no recording of one item has.")
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
    problem = find_problem(audio, max_seconds)
    if problem == "empty":
        raise StudyError(f"it holds no speech: it is {audio.size / SAMPLING_RATE:.3f} s long.")
    if problem == "silent":
        raise StudyError("it holds no speech: it is silent.")
    seconds = audio.size / SAMPLING_RATE
    return Clip(
        id=item.id,
        voice=voice_name,
        flac=shelf.place(key),  # type: ignore[arg-type]
        sampling_rate=SAMPLING_RATE,
        seconds=seconds,
        provider=f"{identity}, {name.as_posix()}",
        text=item.text,
        sha256=hash_audio(flac),
        problem=problem or remark_on_recording(seconds, kept_rate(content)),
    )


def _explain(broken: dict[str, str], spec: RecordingsVoice, task: str, voice_name: str, count: int) -> str:
    """All recordings that cannot be used, the first ones with what is wrong."""
    lines = [f"  {name}: {problem}" for name, problem in list(broken.items())[:EXPLAINED]]
    if rest := list(broken)[EXPLAINED:]:
        lines.append(f"  and {len(rest)} more: {', '.join(rest)}")
    head = f"{task}, voice {voice_name}: {len(broken)} of {count} recordings in {spec.folder} cannot be used:"
    return "\n".join([head, *lines, "Mend or replace them, or leave their items out."])
