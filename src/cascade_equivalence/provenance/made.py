"""Checks before a node starts that its inputs are unchanged since another node made them.

Every node notes the hash of each file it makes; the next one compares before it starts. The notes are small files
beside the records: reading all records to find one file's would take longer than most nodes.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.files import write_text
from cascade_equivalence.provenance.hashes import FileHashes
from cascade_equivalence.provenance.places import Places
from cascade_equivalence.provenance.record import HASHES, RECORDS, Place, Record

MADE = "made"


def bases(config: StudyConfig) -> dict[Place, Path]:
    """The folders whose files nodes make, by their place."""
    return {"results": config.results, "models": config.models_folder, "sets": config.items.sets_folder}


def note(folders: Mapping[Place, Path], record: Record) -> None:
    """Remember what a node made.

    Args:
        folders: As `bases` gives them.
        record: The node's record.

    Raises:
        OSError: A note cannot be written.
    """
    for use in record.outputs:
        if use.place in folders:
            content = {"node": record.name, "sha256": use.sha256}
            write_text(_file(folders[use.place], use.path), json.dumps(content) + "\n")


def forget(folders: Mapping[Place, Path], places: Places, outputs: Iterable[Path]) -> None:
    """Remove the notes on files that are about to be made: a note never speaks of another file than the one there."""
    for path in outputs:
        place, name = places.name(path)
        if place in folders:
            with suppress(OSError):
                _file(folders[place], name).unlink(missing_ok=True)


def check(folders: Mapping[Place, Path], places: Places, inputs: Iterable[Path]) -> None:
    """Compare files with what the nodes made that they come from; files without a note are not judged.

    Raises:
        StudyError: A file is not what its node made; names each, its node, and what to do.
    """
    changed = []
    for path in inputs:
        place, name = places.name(path)
        if place not in folders or not path.is_file() or not (made := _read(_file(folders[place], name))):
            continue
        found, _ = FileHashes(folders[place] / RECORDS / HASHES).of(path)
        if found != made["sha256"]:
            changed.append(f"{path} (made by: {made['node']})")
    if changed:
        raise StudyError(
            f"damaged, or changed by hand, since it was made: {some_of(changed)}. Delete it, give its "
            "name to snakemake as the target, then run the study again: it is made again, and what depends on it; what "
            "models and voices computed comes from the store. `cascade-equivalence verify` looks at all files"
        )


def _file(folder: Path, name: str) -> Path:
    return folder / RECORDS / HASHES / MADE / f"{name}.json"


def _read(file: Path) -> dict[str, str] | None:
    """A note; None where there is none, or a damaged one."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(file.read_bytes())
        return {"node": str(content["node"]), "sha256": str(content["sha256"])}
    return None
