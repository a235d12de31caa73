"""Entities of a crate: what stands in its metadata under a name of its own."""

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cascade_equivalence.files import sha256
from cascade_equivalence.provenance.record import FileUse

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


class CrateFiles:
    """The files of a crate, and those that it only knows by their hash, each an entity once.

    Args:
        crate: The crate.
        folder: The results folder.
        there: Whether a file lies in the crate, by its path.
    """

    def __init__(self, crate: "ROCrate", folder: Path, there: Callable[[str], bool]) -> None:
        self._crate, self._folder, self.there = crate, folder, there
        self._known: dict[str, Entity] = {}

    def used(self, use: FileUse) -> "Entity":
        """A file that a node read or made."""
        title = use.path if use.place == "results" else f"{use.place}/{use.path}"
        if use.place == "results" and self.there(use.path):
            return self.data(use.path, "File", **file_facts(title, use.sha256, use.bytes))
        # Not in the crate, so no file of it; the hash tells who has it that it is the same.
        name = f"#sha256-{use.sha256}"
        if name not in self._known:
            facts = file_facts(title, use.sha256, use.bytes)
            self._known[name] = add_entity(self._crate, name, "CreativeWork", **facts)
        return self._known[name]

    def at(self, path: Path, title: str | None = None) -> "Entity":
        """A file as it lies in the folder."""
        name = path.relative_to(self._folder).as_posix()
        return self.data(name, "File", **file_facts(title or name, sha256(path), path.stat().st_size))

    def data(self, path: str, kind: str | list[str], /, **properties: Any) -> "Entity":
        """A file of the crate."""
        from rocrate.model.file import File

        if path not in self._known:
            file = File(self._crate, dest_path=path, properties={"@type": kind} | properties)
            self._known[path] = self._crate.add(file)
        return self._known[path]
