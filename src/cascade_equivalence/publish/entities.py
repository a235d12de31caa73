"""Entities of a crate: what stands in its metadata under a name of its own."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
}


def add_entity(crate: "ROCrate", identifier: str, kind: str, /, **properties: Any) -> "Entity":
    """Describe something that is no file of the crate."""
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind} | properties))


def file_facts(title: str, sha256: str, size: int) -> dict[str, str]:
    """What is said of a file."""
    kind = FORMATS.get(PurePosixPath(title).suffix, "application/octet-stream")
    return {"name": title, "encodingFormat": kind, "contentSize": str(size), "sha256": sha256}


def version_text(version: str, commit: str | None, modified: bool | None) -> str:
    """A version of the project, as a reader names it."""
    return f"{version}, commit {commit or 'not known'}{' with changes' if modified else ''}"


def unique(entities: Iterable["Entity"]) -> "list[Entity] | Entity":
    """Each entity once; one alone is no list, as RO-Crate has it."""
    found = list({entity.id: entity for entity in entities}.values())
    return found[0] if len(found) == 1 else found
