"""MUSAN (Snyder, Chen and Povey, 2015): its archive fetched and checked, and its speech or its music unpacked.

MUSAN is published under CC BY 4.0; its recordings are in the public domain or under Creative Commons licences, as the
LICENSE files in the archive say. Nothing of it is handed on with a study's results but what is mixed into the clips.
"""

import hashlib
import json
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import soundfile
from pydantic import BaseModel, ConfigDict, ValidationError

from cascade_equivalence.config.speech import MusanSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing, sha256, write_text
from cascade_equivalence.progress import progress
from cascade_equivalence.tasks.sources.archives import ArchivedFile, read_files
from cascade_equivalence.tasks.sources.http import fetch_url

LICENCE = "CC BY 4.0, of recordings in the public domain or under Creative Commons licences"
MANIFEST = "manifest.json"

_SETTINGS = ".settings.json"
_NAME = re.compile(r"^\w[\w.-]*\.wav$")
_CHUNK = 1 << 24


class MusanRecord(BaseModel):
    """The checked archive, which stays where it is; `archive.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    path: Path
    bytes: int
    sha256: str


def fetch_musan(musan: MusanSource, record: Path, cache: Path) -> MusanRecord:
    """Fetch MUSAN's archive, or find it on this machine, and check it.

    Args:
        musan: Where it is, and the hashes it must have.
        record: Gets what was found.
        cache: Folder for downloads that studies share.

    Returns:
        What was found.

    Raises:
        StudyError: If it cannot be had, or is not the one whose hash was given.
    """
    assert musan.archive is not None, "a folder is not fetched"
    pinned = musan.sha256 is not None or musan.md5 is not None
    path = fetch_url(musan.url, cache, secure=not pinned) if musan.url else Path(musan.archive)
    if not path.is_file():
        raise StudyError(f"noise.musan.archive: there is no file {path}.")
    found = _digests(path)
    for kind, wanted in (("sha256", musan.sha256), ("md5", musan.md5)):
        if wanted is not None and found[kind] != wanted:
            raise StudyError(
                f"{path} has the {kind} {found[kind]}, expected {wanted}: it is not the archive that was meant. "
                "If it was cut short, delete it and run again; change the hash in noise.musan only after comparing the "
                "archive with a source you trust."
            )
    known = MusanRecord(source=musan.archive, path=path.absolute(), bytes=path.stat().st_size, sha256=found["sha256"])
    write_text(record, _json(known.model_dump(mode="json")))
    return known


def unpack_musan(record: Path, part: str, folder: Path) -> Path:
    """Unpack one part of MUSAN.

    Only the part's sound files are taken, each under its own file name; what is there already from the same archive is
    not unpacked again, so that an interrupted call goes on.

    Args:
        record: What :func:`fetch_musan` wrote.
        part: `speech` or `music`: the folder in the archive.
        folder: Gets the files, and `manifest.json` once all are there.

    Returns:
        The manifest.

    Raises:
        StudyError: If the archive is gone or not MUSAN's, or the folder holds other recordings.
    """
    known = _read_record(record)
    _begin(folder, {"archive": known.sha256, "part": part})
    files: dict[str, dict[str, Any]] = {}

    def wanted(path: PurePosixPath) -> bool:
        # The archive's own folder may be left out; hidden files are what some systems add.
        return part in path.parts[:2] and path.suffix.lower() == ".wav" and not path.name.startswith(".")

    for clip in read_files(known.path, wanted, f".wav files in a folder {part}"):
        if not _NAME.match(clip.name) or clip.name in files:
            raise StudyError(f"{known.path} is not MUSAN's archive: {clip.name!r} is no name of its, or there twice.")
        files[clip.name] = _unpack(clip, folder / clip.name)
    print(f"{len(files)} files, {sum(each['seconds'] for each in files.values()) / 3600:.2f} hours", file=sys.stderr)
    manifest = {"archive": known.sha256, "source": known.source, "part": part, "licence": LICENCE, "files": files}
    return write_text(folder / MANIFEST, _json(manifest))


def _read_record(record: Path) -> MusanRecord:
    try:
        known = MusanRecord.model_validate_json(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise StudyError(f"{record} does not say where MUSAN lies ({error}): delete it and run again.") from error
    if not known.path.is_file() or known.path.stat().st_size != known.bytes:
        raise StudyError(f"{known.path} is gone or has changed: delete {record} and run again to fetch it.")
    return known


def _begin(folder: Path, settings: dict[str, str]) -> None:
    """Keep what an earlier call unpacked from the same archive; else begin anew."""
    (folder / MANIFEST).unlink(missing_ok=True)
    kept = folder / _SETTINGS
    before = kept.read_text(encoding="utf-8") if kept.is_file() else None
    if before == _json(settings):
        return
    recordings = sorted(folder.glob("*.wav"))
    if recordings and before is None:
        raise StudyError(
            f"{folder} holds {len(recordings)} recordings that were not unpacked from MUSAN: move them elsewhere, and "
            "let noise.musan.folder name a folder that is yours."
        )
    for recording in recordings:
        recording.unlink()
    write_text(kept, _json(settings))


def _unpack(clip: ArchivedFile, place: Path) -> dict[str, Any]:
    if not (place.is_file() and place.stat().st_size == clip.size):
        with replacing(place) as part:
            clip.copy_to(part)
            _seconds(part, clip)
    return {"sha256": sha256(place), "seconds": round(_seconds(place, clip), 3)}


def _seconds(path: Path, clip: ArchivedFile) -> float:
    try:
        sound = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise StudyError(f"{clip.archive} is not MUSAN's archive: {clip.name} cannot be read as sound.") from error
    if not sound.frames:
        raise StudyError(f"{clip.archive} is not MUSAN's archive: {clip.name} holds no sound.")
    return float(sound.duration)


def _digests(path: Path) -> dict[str, str]:
    """SHA-256 and MD5 of a file, read once."""
    digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    with progress(f"checking {path.name} (MiB)", total=path.stat().st_size >> 20) as advance, path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for digest in digests.values():
                digest.update(chunk)
            advance(len(chunk) >> 20)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
