"""Fetches a published set into one folder of checked files, and its recordings as one checked archive."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing, sha256, write_text
from cascade_equivalence.tasks.sources.git import fetch_git_file
from cascade_equivalence.tasks.sources.hub import fetch_hub_file
from cascade_equivalence.tasks.sources.pins import MANIFEST, HubFile, PinnedFile, SetPin

ARCHIVE = "archive.json"


class ArchiveRecord(BaseModel):
    """A fetched archive, which stays in the cache it was fetched into; `archive.json` in the set's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    source: PinnedFile
    path: Path


def fetch_set(task: str, pin: SetPin, folder: Path, cache: Path) -> Path:
    """Fetch the files with a set's items.

    What is complete in the caches is not fetched again. The manifest is written last: it stands for the whole set.

    Args:
        task: The set.
        pin: Where it comes from.
        folder: The set's own folder; it gets copies of the files, and `manifest.json` with sources and hashes.
        cache: Folder for downloads that studies share.

    Returns:
        The manifest.

    Raises:
        StudyError: If a file cannot be had or is not the recorded one, or the folder holds other files.
    """
    _refuse_foreign(folder, {file.name for file in pin.texts})
    for file in pin.texts:
        place = folder / file.name
        if place.is_file() and sha256(place) == file.sha256:
            continue
        with replacing(place) as part:
            part.write_bytes(_fetch(file, cache).read_bytes())
    sources = {file.name: file.model_dump(mode="json", exclude_none=True) for file in pin.texts}
    manifest = folder / MANIFEST
    write_text(manifest, _json({"task": task, "licence": pin.licence, "files": sources}))
    return manifest


def fetch_archive(task: str, pin: SetPin, folder: Path, cache: Path) -> Path:
    """Fetch the archive with a set's recordings (MELD's has 10 GiB) and check it.

    Args:
        task: The set.
        pin: Where it comes from.
        folder: The set's own folder; it gets `archive.json`, which says where the archive lies.
        cache: Folder for downloads that studies share.

    Returns:
        The record.

    Raises:
        StudyError: If the set has no recordings, or they cannot be had or are not the recorded ones.
    """
    if pin.recordings is None:
        raise StudyError(f"{task} has no recordings; it is spoken by voices.")
    path = _fetch(pin.recordings.archive, cache)
    record = ArchiveRecord(task=task, source=pin.recordings.archive, path=path.absolute())
    return write_text(folder / ARCHIVE, _json(record.model_dump(mode="json", exclude_none=True)))


def read_archive(record: Path) -> Path:
    """The archive that a record stands for.

    Raises:
        StudyError: If the record cannot be read, or the archive is no longer there or not whole.
    """
    try:
        known = ArchiveRecord.model_validate_json(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise StudyError(f"{record} does not say where an archive lies ({error}): delete it and run again") from error
    if not known.path.is_file():
        raise StudyError(f"{known.path} is gone (was a cache cleared?): delete {record} and run again to fetch it")
    if known.source.bytes and (size := known.path.stat().st_size) != known.source.bytes:
        raise StudyError(
            f"{known.path} has {size} bytes instead of {known.source.bytes}: delete it and {record}, and run again"
        )
    return known.path


def _fetch(file: PinnedFile, cache: Path) -> Path:
    return fetch_hub_file(file) if isinstance(file, HubFile) else fetch_git_file(file, cache)


def _refuse_foreign(folder: Path, own: set[str]) -> None:
    """A file of another edition beside the recorded one could be taken for it."""
    known = {*own, MANIFEST, ARCHIVE}
    found = sorted(path.name for path in folder.iterdir() if path.name not in known) if folder.is_dir() else []
    if foreign := [name for name in found if not name.startswith(".")]:
        raise StudyError(
            f"{folder} holds {', '.join(foreign)} beside the recorded files of the set: delete it, or move it to a "
            "folder of your own and name that in `items.folder`."
        )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
