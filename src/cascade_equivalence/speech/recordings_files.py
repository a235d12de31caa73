"""Which recording belongs to which item. Imports nothing heavy: the graph of a study asks, too."""

import glob
from collections.abc import Callable, Iterable
from operator import methodcaller
from pathlib import Path

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.errors import StudyError, some_of

EXTENSIONS = ("wav", "flac", "mp3", "ogg", "opus", "aiff", "aif")
"""What libsndfile reads, of what speech is kept in."""
OTHERS = ("mp4", "m4a", "aac", "mkv", "webm", "mov", "avi", "wma")
"""What speech is also published in (MELD and MUStARD: mp4), but has to be turned into one of the above."""

SHOWN = 5
LONGEST_SHOWN = 120

_IS_FILE: Callable[[Path], bool] = methodcaller("is_file")
_IS_FOLDER: Callable[[Path], bool] = methodcaller("is_dir")


def find_recordings(spec: RecordingsVoice, task: str, ids: Iterable[str]) -> dict[str, Path]:
    """Find the recordings of items.

    Args:
        spec: The folder.
        task: The items' task.
        ids: The items.

    Returns:
        One file an item, in the order of the items.

    Raises:
        StudyError: If the folder is missing or cannot be read, an id would lead out of it or be a hidden file, an item
            has two recordings, or some have none; these are named, the first five and how many.
    """
    _check_folder(spec)
    found: dict[str, Path] = {}
    missing: list[str] = []
    for item in ids:
        _check_id(spec, item)
        paths = _existing(spec, task, item, EXTENSIONS)
        if len(paths) > 1:
            names = " and ".join(_name(spec, path) for path in paths[:2])
            raise StudyError(f"{spec.folder}: item {item} of {task} has two recordings, {names}: take one away.")
        if paths:
            found[item] = paths[0]
        else:
            missing.append(item)
    if missing:
        raise StudyError(_explain(spec, task, missing, len(found)))
    return found


def list_recordings(spec: RecordingsVoice, task: str) -> dict[str, Path]:
    """Everything that can be a recording of a task.

    Args:
        spec: The folder.
        task: The task; the recordings of others do not matter where the pattern holds `{task}`.

    Returns:
        The files, by their names below the folder.

    Raises:
        StudyError: If the folder is missing.
    """
    _check_folder(spec)
    pattern = glob.escape(spec.pattern).format(task=glob.escape(task), id="*", ext="*")
    listed = {}
    for path in spec.folder.glob(pattern):
        # Systems put hidden files of their own beside others ("._a.wav"): nobody's recordings.
        if path.name.startswith(".") and not spec.pattern.rpartition("/")[2].startswith("."):
            continue
        if _guarded(path, _IS_FILE) and ("{ext}" not in spec.pattern or path.suffix[1:].lower() in EXTENSIONS):
            listed[_name(spec, path)] = path
    return listed


def _check_folder(spec: RecordingsVoice) -> None:
    if not _guarded(spec.folder, _IS_FOLDER):
        raise StudyError(f"There is no folder {spec.folder} with recordings: set `folder` of the voice.")


def _guarded(path: Path, ask: Callable[[Path], bool]) -> bool:
    """Ask about a path; one that is too long or may not be looked at is named."""
    try:
        return ask(path)
    except OSError as error:
        name = str(path) if len(str(path)) <= LONGEST_SHOWN else f"{str(path)[:LONGEST_SHOWN]}..."
        raise StudyError(f"{name} cannot be looked for: {error.strerror}.") from error


def _check_id(spec: RecordingsVoice, item: str) -> None:
    """Refuse an id that is no plain part of a file name: ids come with the data."""
    if not item or item.strip(".") == "" or any(character in item for character in "/\\\0"):
        raise StudyError(f"The item id {item!r} cannot be part of a recording's name: it may lead out of the folder.")
    if item.startswith(".") and spec.pattern.rpartition("/")[2].startswith("{id}"):
        raise StudyError(f"The item id {item!r} begins with a full stop: its recording would be a hidden file.")


def _existing(
    spec: RecordingsVoice,
    task: str,
    item: str,
    extensions: Iterable[str],
    is_wanted: Callable[[Path], bool] = _IS_FILE,
) -> list[Path]:
    """Files that can be an item's recording."""
    found: list[Path] = []
    for extension in extensions if "{ext}" in spec.pattern else ("",):
        for spelling in (extension, extension.upper()):
            path = spec.folder / spec.pattern.format(task=task, id=item, ext=spelling)
            # Where case does not count, a file answers to both spellings.
            if _guarded(path, is_wanted) and not any(path.samefile(other) for other in found):
                found.append(path)
    return found


def _name(spec: RecordingsVoice, path: Path) -> str:
    return path.relative_to(spec.folder).as_posix()


def _explain(spec: RecordingsVoice, task: str, missing: list[str], found: int) -> str:
    wanted = spec.pattern.replace("{task}", task)
    lines = [
        f"{spec.folder}: {len(missing)} of {len(missing) + found} items of {task} have no recording: "
        f"{some_of(missing, SHOWN)}. Looked for {wanted}"
        + (f" with ext any of {', '.join(EXTENSIONS)}." if "{ext}" in wanted else ".")
    ]
    if folders := _existing(spec, task, missing[0], EXTENSIONS, _IS_FOLDER):
        lines.append(f"{_name(spec, folders[0])} is a folder, not a sound file.")
    if "{ext}" in wanted and (others := _existing(spec, task, missing[0], OTHERS)):
        lines.append(
            f"There is {_name(spec, others[0])}: turn such files into WAV first, as in "
            f"`ffmpeg -i {others[0].name} -ac 1 -ar 16000 {others[0].stem}.wav`."
        )
    return " ".join(lines)
