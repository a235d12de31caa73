"""What a first study of a user's own items says: read off their file, and off a folder of recordings."""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.recordings_files import EXTENSIONS

CALLED: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "utterance", "question", "transcript", "transcription", "words"),
    "label": ("label", "answer", "gold", "class", "category", "target", "intent", "emotion"),
    "id": ("id", "name", "key", "utt_id", "item"),
    "audio": ("audio", "file", "filename", "file_name", "path", "wav", "clip", "recording"),
    "group": ("group", "speaker", "dialogue", "session"),
    "options": ("options", "choices"),
    "aliases": ("aliases", "alternatives"),
}
"""What columns are often called, by what an item holds; the first that a file has is taken."""
MOST_LABELS = 20
"""More different answers than that are free ones, as are those of which most items have one of their own."""
FREE_TOKENS = 24
OPTIONS = "{speech}\n{options}\nAnswer with the letter of the right option."


@dataclass(frozen=True)
class OwnStudy:
    """What a study of one's own says beside the template.

    Attributes:
        name: Name of the task.
        task: The task's entry.
        voices: Entries of voices of recordings, by name; none where the items are to be spoken.
        answer: Settings of answers.
        notes: What a user should know: what was found, and what was guessed.
    """

    name: str
    task: dict[str, Any]
    voices: dict[str, dict[str, Any]] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def own_study(items: Path, recordings: Path | None) -> OwnStudy:
    """Describe a study of the user's own items.

    Args:
        items: The file of items.
        recordings: Folder with a recording of each item, by its id, or with such a folder a voice; None to have the
            items spoken.

    Raises:
        StudyError: The file cannot be read, says neither text nor label, or the recordings are of no item.
    """
    from cascade_equivalence.tasks.own import OwnTask
    from cascade_equivalence.tasks.own_rows import read_columns

    columns = _columns(items, read_columns(items))
    renamed = {part: column for part, column in columns.items() if part != column}
    name = re.sub(r"\W+", "_", items.stem, flags=re.ASCII).strip("_") or "items"
    name = name if name[0].isalpha() else f"task_{name}"
    entry: dict[str, Any] = {"items": items.as_posix()} | ({"columns": renamed} if renamed else {})
    lettered = {"prompt": OPTIONS, "labels": list(string.ascii_uppercase)} if "options" in columns else {}
    read = OwnTask(name, entry | lettered).load()
    notes = [f"{len(read)} items; text is in the column {columns['text']!r}, the right answer in {columns['label']!r}"]
    answer: dict[str, Any] = {}
    if longest := max(len(item.options) for item in read):
        letters = list(string.ascii_uppercase[:longest])
        entry |= {"labels": letters, "prompt": OPTIONS}
        notes.append(f"each has up to {longest} options, lettered from A")
    elif labels := _closed([item.label for item in read]):
        entry |= {"labels": labels, "prompt": f"{{speech}}\nAnswer with one of: {', '.join(labels)}."}
        answer["mode"] = "forced_choice"
        notes.append(f"the answers are a closed set: {', '.join(labels)}")
    else:
        entry |= {"prompt": "{speech}\nAnswer in a few words.", "max_new_tokens": FREE_TOKENS}
        different = len({item.label for item in read})
        notes.append(
            f"answers are free: {different} different ones of {len(read)} items make no choice; name `labels` in the "
            "file that is written if it is one"
        )
    voices = _voices(recordings, name, [item.id for item in read], notes) if recordings is not None else {}
    return OwnStudy(name, entry, voices, answer, tuple(notes))


def _columns(items: Path, found: Sequence[str]) -> dict[str, str]:
    by_name = {column.strip().lower(): column for column in reversed(found)}
    columns = {
        part: next(by_name[name] for name in names if name in by_name)
        for part, names in CALLED.items()
        if any(name in by_name for name in names)
    }
    for part in ("text", "label"):
        if part not in columns:
            raise StudyError(
                f"{items}: which column is the {part}? It has {', '.join(found) or 'none'}; call one {part!r}"
            )
    return columns


def _closed(answers: Sequence[str]) -> list[str]:
    """The labels of a choice, in the order of their names; none where answers are free."""
    labels = sorted(set(answers))
    return labels if 1 < len(labels) <= MOST_LABELS and 2 * len(labels) <= len(answers) else []


def _voices(recordings: Path, task: str, ids: Sequence[str], notes: list[str]) -> dict[str, dict[str, Any]]:
    """Voices of a folder: itself, or those of its folders that hold recordings of the items."""
    if not recordings.is_dir():
        raise StudyError(f"--recordings: there is no folder {recordings}")
    wanted = set(ids)
    places = [recordings, *sorted(path for path in recordings.iterdir() if path.is_dir() and path.name != task)]
    voices: dict[str, dict[str, Any]] = {}
    for place in places:
        for pattern, folder in (("{id}.{ext}", place), ("{task}/{id}.{ext}", place / task)):
            if not (there := wanted & _stems(folder)):
                continue
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", place.name).strip("-.") or "recorded"
            voices[name] = {"provider": "recordings", "folder": place.as_posix(), "pattern": pattern}
            missing = [item for item in ids if item not in there]
            lacks = f"; {len(missing)} have none, such as {missing[0]}" if missing else ""
            notes.append(f"{place}: recordings of {len(there)} of {len(ids)} items{lacks}")
            break
    if not voices:
        raise StudyError(
            f"--recordings: {recordings} has no recording that is called as an item is, such as {ids[0]}.wav "
            f"({', '.join(EXTENSIONS)})"
        )
    return voices


def _stems(folder: Path) -> set[str]:
    files: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    return {path.stem for path in files if path.suffix.lower().removeprefix(".") in EXTENSIONS}
