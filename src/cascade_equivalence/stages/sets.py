"""The stages that fetch published sets, and take the sound from their recordings."""

from typing import Any

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.stages import items
from cascade_equivalence.stages.fingerprint import code_fingerprint, code_of
from cascade_equivalence.stages.study import Study


def extracted(study: Study, task: str, voice: str) -> list[str]:
    """Manifest of the recordings that a voice reads, where they come from a set's archive."""
    spec = study.config.definitions.voices[voice]
    if not isinstance(spec, RecordingsVoice) or spec.folder != study.recordings_folder:
        return []
    return [f"{study.sets}/recordings/{task}/manifest.json"]


def fetch_params(study: Study, task: str) -> dict[str, Any]:
    """What a fetched set depends on."""
    if (dataset := study.task(task).dataset) is not None:
        code = code_fingerprint("fetch_set", without=["tasks/sources/fetch.py"])
        return {"dataset": dataset.read_from(), "code": code}
    files = [file.model_dump(mode="json") for file in items.known_set(study, task).pin.texts]
    return {"files": files, "code": code_fingerprint("fetch_set", without=["tasks/sources/dataset.py"])}


def archive(study: Study, task: str) -> list[str]:
    """Record of the archive that a set's recordings are in; a data set has them beside its texts."""
    return [] if study.task(task).dataset is not None else [f"{study.sets}/{task}/archive.json"]


def archive_params(study: Study, task: str) -> dict[str, Any]:
    """What a fetched archive depends on."""
    recordings = items.known_set(study, task).pin.recordings
    archive = recordings.archive.model_dump(mode="json") if recordings else None
    return {"archive": archive, "code": code_fingerprint("fetch_set", without=["tasks/sources/dataset.py"])}


def recordings_params(study: Study, task: str) -> dict[str, Any]:
    """What the recordings of a set depend on, beside its items and its archive."""
    if (dataset := study.task(task).dataset) is not None:
        columns = {str(field): column for field, column in study.task(task).columns.items()}
        code = code_fingerprint("extract_audio", *code_of(task), without=["speech/set_recordings.py"])
        return {"dataset": dataset.read_from(), "columns": columns, "code": code}
    known = items.known_set(study, task)
    lines = [[line.clip, line.treatment] for line in known.exclusions.lines]
    settings = known.pin.recordings.model_dump(mode="json") if known.pin.recordings else None
    return {
        "recordings": settings,
        "files": items.contents(study, task),
        "known": lines,
        "max_seconds": study.config.speech.max_seconds,
        "complete": study.config.items.complete,
        "code": code_fingerprint("extract_audio", *code_of(task), without=["tasks/own.py", "speech/dataset_clips.py"]),
    }
