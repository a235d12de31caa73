"""From the sound column of a data set to one file a clip, as a voice of recordings reads them."""

import json
import shutil
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_bytes, write_text
from cascade_equivalence.tasks.own import Sound

MARK = ".dataset"
"""In a folder whose files are all made here."""
BEGINNINGS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"FORM": "aiff", b"ID3": "mp3"}
"""What files of sound begin with; an MP3 file may also begin with a frame."""


def extract_clips(task: str, sounds: Iterable[Sound], manifest: Path) -> int:
    """Write the clips of a data set, byte for byte as the set has them.

    Args:
        task: The task, for messages.
        sounds: The clips.
        manifest: `manifest.json` of the task's folder, which gets `<item>.<ext>` for each clip, or
            `<voice>/<item>.<ext>` where the set says who speaks; what an earlier call wrote goes.

    Returns:
        How many there are.

    Raises:
        StudyError: The folder has files that were not made here, two clips have one name, or a clip is of no known
            kind or has a name that could lead elsewhere.
    """
    place = manifest.parent
    if place.is_dir() and any(place.iterdir()) and not (place / MARK).is_file():
        raise StudyError(
            f"{place} holds files that are not made from the data set: move them elsewhere, and let a voice of "
            "provider `recordings` name their folder"
        )
    shutil.rmtree(place, ignore_errors=True)
    write_text(place / MARK, "")
    found: dict[str, dict[str, str]] = {}
    for sound in sounds:
        parts = [part for part in (sound.voice, sound.item) if part]
        for part in parts:
            if part.startswith(".") or any(sign in part for sign in "/\\\0") or not part.isprintable():
                raise StudyError(f"{task}: {part!r} cannot be the name of a file: name another column for it")
        name = "/".join(parts)
        if name in found:
            raise StudyError(f"{task}: two clips are called {name!r}: name the column of voices in `columns.voice`")
        file = f"{name}.{_ending(sound.content, task, name)}"
        write_bytes(place / file, sound.content)
        found[name] = {"file": file, "sha256": sha256(sound.content).hexdigest()}
    write_text(manifest, json.dumps({"task": task, "clips": found}, indent=2, sort_keys=True) + "\n")
    return len(found)


def _ending(content: bytes, task: str, name: str) -> str:
    for beginning, ending in BEGINNINGS.items():
        if content.startswith(beginning):
            return ending
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xE0 == 0xE0:  # noqa: PLR2004 - an MPEG frame's sync
        return "mp3"
    raise StudyError(f"{task}: the clip {name!r} is none of {', '.join(BEGINNINGS.values())}, which are read")
