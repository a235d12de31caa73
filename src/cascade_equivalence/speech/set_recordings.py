"""From a set's archive to one recording an item: 16 kHz, mono, FLAC."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256, write_bytes, write_text
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.audit import find_problem
from cascade_equivalence.speech.video_sound import UnreadableError, ffmpeg_version, find_ffmpeg, read_sound
from cascade_equivalence.speech.waveform import SAMPLING_RATE, decode_flac, encode_flac
from cascade_equivalence.tasks.sources.archives import ArchivedFile, read_clip_files
from cascade_equivalence.tasks.sources.exclusions import Exclusions
from cascade_equivalence.tasks.sources.pins import MANIFEST, Recordings

_SETTINGS = ".settings.json"
# A clip that is longer by so much is longer, and not only rounded up by its codec.
_BEYOND = 0.05
_SHOWN = 20


@dataclass
class _Pass:
    """What one reading of the archive found."""

    ignored: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class RecordingEntry:
    """One item's recording, as the manifest knows it."""

    sha256: str
    seconds: float
    cut: bool


def extract_recordings(
    task: str,
    items: Sequence[str],
    archive: Path,
    pin: Recordings,
    exclusions: Exclusions,
    folder: Path,
    max_seconds: float,
) -> dict[str, RecordingEntry]:
    """Make the recordings of some items from a set's archive.

    Recordings that are there already, made from the same archive with the same settings, are not made again; an
    interrupted call loses none. A recording longer than `max_seconds` is cut there, for every system that hears it.

    Args:
        task: The set.
        items: Items wanted; each is the name of a clip.
        archive: The archive.
        pin: Where the clips are in it.
        exclusions: The set's known faults.
        folder: Gets `<task>/<item>.flac` for each item, and `<task>/manifest.json` once all are there.
        max_seconds: Longest recording.

    Returns:
        The recordings, in the order of the items.

    Raises:
        StudyError: If ffmpeg is missing, the archive is not the published one, or clips are missing or cannot be heard;
            the message names them all and says how to go on.
    """
    find_ffmpeg()
    if strange := [item for item in items if Path(item).name != item]:
        raise StudyError(f"{task} has items that cannot be names of files: {', '.join(strange)}.")
    place = folder / task
    settings = {"archive": pin.archive.sha256, "max_seconds": max_seconds, "format": 1}
    _begin(place, settings)
    missing = [item for item in items if not (place / f"{item}.flac").is_file()]
    found = _read(missing, archive, pin, exclusions, place, max_seconds) if missing else _Pass()
    if found.problems:
        raise StudyError(_advice(task, found.problems, exclusions.path, pin.split))
    cut = _settings(place)["cut"]
    recordings = {item: _record(place / f"{item}.flac", item in cut) for item in items}
    for reason, count in found.ignored.items():
        print(f"{count} files of {archive.name} are not read: {reason}", file=sys.stderr)
    for item, recording in recordings.items():
        if recording.cut:
            reason = exclusions.clips("cut").get(item, "not in the list of known faults")
            print(f"{item} is cut after {max_seconds:g} s: {reason}", file=sys.stderr)
    clips = {item: asdict(recording) for item, recording in recordings.items()}
    write_text(place / MANIFEST, _json({"task": task, "ffmpeg": ffmpeg_version(), **settings, "clips": clips}))
    return recordings


def _begin(place: Path, settings: dict[str, Any]) -> None:
    """Keep the recordings of an earlier call if it had the same settings; else begin anew."""
    place.mkdir(parents=True, exist_ok=True)
    (place / MANIFEST).unlink(missing_ok=True)
    before = _settings(place)
    if before and {key: before.get(key) for key in settings} == settings:
        return
    recordings = sorted(place.glob("*.flac"))
    if recordings and not before:
        raise StudyError(
            f"{place} holds {len(recordings)} recordings that were not made from the set's archive: move them "
            "elsewhere, and let a voice of provider `recordings` name their folder."
        )
    for recording in recordings:
        recording.unlink()
    write_text(place / _SETTINGS, _json(settings | {"cut": []}))


def _settings(place: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((place / _SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _read(
    missing: Sequence[str], archive: Path, pin: Recordings, exclusions: Exclusions, place: Path, max_seconds: float
) -> _Pass:
    """Read the archive once and make what is missing."""
    found = _Pass()
    wanted = set(missing)
    label = f"Recordings of {place.name}"
    with progress(label, total=len(wanted)) as advance, tempfile.TemporaryDirectory(prefix="clips-") as work:
        for clip in read_clip_files(archive, pin.folder, pin.inner):
            if reason := exclusions.ignored(clip.name):
                found.ignored[reason] = found.ignored.get(reason, 0) + 1
            elif clip.name in wanted:
                if clip.name in found.seen:
                    raise StudyError(f"{archive} holds the clip {clip.name} twice; it is not the published archive.")
                found.seen.add(clip.name)
                _convert(clip, Path(work) / "clip.mp4", place, max_seconds, found)
                advance()
            if found.seen == wanted:
                break
    found.problems |= {name: "the archive does not have it" for name in missing if name not in found.seen}
    return found


def _convert(clip: ArchivedFile, video: Path, place: Path, max_seconds: float, found: _Pass) -> None:
    clip.copy_to(video)
    try:
        sound, amiss = read_sound(video, max_seconds + 1)
    except UnreadableError as error:
        found.problems[clip.name] = str(error)
        return
    if amiss:
        print(f"{clip.name}: ffmpeg says: {amiss}", file=sys.stderr)
    if sound.size > (max_seconds + _BEYOND) * SAMPLING_RATE:
        # Noted before the recording is there, so that an interrupted call still knows it.
        settings = _settings(place)
        write_text(place / _SETTINGS, _json(settings | {"cut": sorted({*settings["cut"], clip.name})}))
    sound = sound[: round(max_seconds * SAMPLING_RATE)]
    if (problem := find_problem(sound, max_seconds)) in ("empty", "silent"):
        found.problems[clip.name] = f"it is {problem}"
        return
    write_bytes(place / f"{clip.name}.flac", encode_flac(sound))


def _record(recording: Path, cut: bool) -> RecordingEntry:
    try:
        seconds = decode_flac(recording.read_bytes()).size / SAMPLING_RATE
    except StudyError as error:
        raise StudyError(f"{recording} is broken; delete it and run again. {error}") from error
    return RecordingEntry(sha256(recording), seconds, cut)


def _advice(task: str, problems: dict[str, str], path: Path, split: str) -> str:
    lines = [f"  {name}: {reason}" for name, reason in sorted(problems.items())]
    more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join(
        [
            f"{len(problems)} recordings of {task} cannot be used (the others are made and kept):",
            *lines[:_SHOWN],
            *more,
            f"If the archive is whole, leave these items out for every system: add a line for each to {path}, such as",
            f"  {split},{min(problems)},drop,{problems[min(problems)].partition(':')[0]}",
        ]
    )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
