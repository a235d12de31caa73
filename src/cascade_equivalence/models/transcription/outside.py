"""Transcripts that another program wrote: read from its files, and held against the clips of a study."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from cascade_equivalence.conditions import CLEAN, SILENCE
from cascade_equivalence.config.sources import TranscriptField, TranscriptsSource
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.tasks.base import FOREIGN
from cascade_equivalence.tasks.published import read_csv_records, read_rows

ENDINGS = (".csv", ".jsonl", ".json", ".parquet")
FIELDS: tuple[str, ...] = get_args(TranscriptField)
NEEDED = ("id", "text")
SHOWN = 3
OutsideClip = tuple[str, str]
"""A clip within a task and condition: its item's id, and its voice."""


def outside_transcripts(
    name: str,
    source: TranscriptsSource,
    task: str,
    condition: str,
    voices: Sequence[str],
    wanted: Sequence[OutsideClip] | None,
) -> list[str]:
    """The transcripts of some clips.

    A row without a task is of every task, one without a condition of clean speech; one without a voice is of the only
    voice there is.

    Args:
        name: The recogniser's name in the study, for messages.
        source: Its files.
        task: The task.
        condition: The condition.
        voices: Voices that speak the task in the condition.
        wanted: The clips, item and voice; None where they are not known yet, so that none can be missing.

    Returns:
        A transcript a clip, in their order; none where they are not known.

    Raises:
        StudyError: A file cannot be read, has a row that is no transcript, or the files have a clip's transcript twice
            or not at all; one line, which names the entry.
    """
    key = f"models.{name}.source"
    found: dict[OutsideClip, str] = {}
    doubled: list[OutsideClip] = []
    unvoiced = ""
    for path in source.files:
        for row in _read(path, tuple(sorted(source.columns.items())), _state(path), key):
            if row["task"] not in ("", task) or (row["condition"] or CLEAN) != condition:
                continue
            unvoiced = unvoiced or ("" if row["voice"] else row["id"])
            place = (row["id"], row["voice"] or voices[0])
            if place in found:
                doubled.append(place)
            found[place] = row["text"]
    of, files = f"{task} ({condition})", some_of(list(map(str, source.files)), SHOWN)
    if unvoiced and len(voices) > 1:
        raise StudyError(
            f"{key}.columns.voice: {files}: {unvoiced} of {of} has no voice, and {', '.join(voices)} speak it: name "
            "the column that tells them apart"
        )
    asked = None if wanted is None else set(wanted)
    lines = [f"more than one transcript of {_some(doubled)}"] if (doubled := _among(doubled, asked)) else []
    if missing := [place for place in wanted or () if place not in found]:
        lines.append(f"no transcript of {_some(missing)} ({len(missing)} of {len(wanted or ())} clips)")
    if lines:
        hint = ""
        if condition == SILENCE and not found:
            hint = "; add rows of condition `silence`, or set `silence: false` to leave its cascades out there"
        raise StudyError(f"{key}.files: {files}: {of} has {' and '.join(lines)}{hint}")
    return [found[place] for place in wanted or ()]


def _among(places: Sequence[OutsideClip], asked: Collection[OutsideClip] | None) -> list[OutsideClip]:
    return [place for place in places if asked is None or place in asked]


def _state(path: Path) -> tuple[int, int]:
    """What tells a file from the one that was read before."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


# Every node of a study asks, of one file: it is read once as it stands.
@lru_cache(maxsize=16)
def _read(path: Path, columns: tuple[tuple[str, str], ...], state: tuple[int, int], key: str) -> list[dict[str, str]]:
    del state
    if not path.is_file():
        raise StudyError(f"{key}.files: there is no file {path} (looked for {path.resolve()})")
    if path.suffix not in ENDINGS:
        raise StudyError(f"{key}.files: {path}: its name ends in none of {', '.join(ENDINGS)}")
    names = {field: field for field in FIELDS} | dict(columns)
    found: list[dict[str, str]] = []
    try:
        for row in _rows(path):
            for field in (*NEEDED, *dict(columns)):
                if names[field] not in row:
                    raise ValueError(f"there is no column {names[field]!r}; it has {', '.join(map(str, row))}")
            found.append({field: _cell(row.get(names[field]), field) for field in FIELDS})
    except OSError as error:
        raise StudyError(f"{key}.files: {path} cannot be read ({error.strerror})") from error
    except FOREIGN as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{key}.files: {path}, row {len(found) + 1}: {reason}") from error
    if not found:
        raise StudyError(f"{key}.files: {path} has no transcripts")
    return found


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    yield from read_csv_records(path) if path.suffix == ".csv" else read_rows(path)


def _cell(value: object, field: str) -> str:
    if isinstance(value, float) and value.is_integer() and field == "id":
        value = int(value)
    if value is None and field == "text":
        raise ValueError("its text is missing; where nothing was heard, write an empty one")
    if isinstance(value, bool | list | dict) or (field == "id" and str(value or "").strip() == "" and value != 0):
        raise ValueError(f"its {field} is {value!r}")
    return "" if value is None else str(value) if field == "text" else str(value).strip()


def _some(places: Sequence[OutsideClip]) -> str:
    return some_of([f"{item} in voice {voice}" for item, voice in dict.fromkeys(places)], SHOWN)
