"""Published sets as a graph: where they are fetched to, and what fetching and extracting depend on."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.dag.fingerprint import code_fingerprint, code_of
from cascade_equivalence.dag.layout import Layout
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import FileHashes, contents_of
from cascade_equivalence.provenance.record import HASHES, RECORDS
from cascade_equivalence.resources import RESOURCES

if TYPE_CHECKING:
    from cascade_equivalence.tasks.base import Item
    from cascade_equivalence.tasks.planned import Basis
    from cascade_equivalence.tasks.sources.resources import SetResources


class SetNodes(Layout):
    """Nodes that fetch the published sets and take the sound from their recordings."""

    @cached_property
    def sets(self) -> str:
        """Folder for fetched sets."""
        return self.config.items.sets_folder.as_posix()

    @property
    def sets_folder(self) -> Path:
        """Folder of the published sets: the user's own, or the fetched ones'."""
        return self.config.items.folder or self.config.items.sets_folder

    @property
    def recordings_folder(self) -> Path:
        """Folder for the recordings that are made from the sets' archives."""
        return self.config.items.sets_folder / "recordings"

    @cached_property
    def _known_sets(self) -> dict[str, "SetResources"]:
        """What was read of the sets already: many nodes ask for the same."""
        return {}

    def set_resources(self, task: str) -> "SetResources":
        """What the project knows of a task's published set."""
        from cascade_equivalence.tasks.sources.resources import read_resources

        if task not in self._known_sets:
            self._known_sets[task] = read_resources(task, TASKS[task].resources)
        return self._known_sets[task]

    def fetched_items(self, task: str) -> list[str]:
        """What a node fetched that the items of a task are read from; none of own items and of a user's folder."""
        fetches = self.config.items.source != "demo" and self.config.items.folder is None
        if fetches and not self.set_resources(task).pin.texts:
            raise StudyError(
                f"items.folder: nothing says where the set of {task} comes from; name your folder with {task}/, or "
                f"write {TASKS[task].resources / 'sets.yaml'}"
            )
        return [f"{self.sets}/{task}/manifest.json"] if fetches else []

    def item_files(self, task: str) -> list[Path]:
        """Files that the items of a task are read from, where no node fetches them."""
        if self.config.items.source == "demo":
            return [TASKS[task].resources / "items" / f"{task}.jsonl"]
        if self.config.items.folder is None:
            return []
        from cascade_equivalence.tasks.registry import get_task
        from cascade_equivalence.tasks.sources.draw import HasReserve

        folder, known = self.config.items.folder, get_task(task)
        reserve = known.reserve_files(folder) if isinstance(known, HasReserve) else []
        return [*known.published_files(folder), *reserve]

    def item_contents(self, task: str) -> dict[str, str | None]:
        """Hashes of those files: where they lie, and since when, makes no other items of them."""
        return contents_of(self.item_files(task), self.remembered_hashes)

    @cached_property
    def remembered_hashes(self) -> FileHashes:
        """Hashes of files that no node makes; they lie with the results."""
        return FileHashes(Path(self.results) / RECORDS / HASHES, within=Path(self.results))

    def extracted(self, task: str, voice: str) -> list[str]:
        """Manifest of the recordings that a voice reads, where they come from a set's archive."""
        spec = self.config.definitions.voices[voice]
        if not isinstance(spec, RecordingsVoice) or spec.folder != self.recordings_folder:
            return []
        return [f"{self.sets}/recordings/{task}/manifest.json"]

    def item_params(self, task: str) -> dict[str, Any]:
        """What the items of a task depend on."""
        items = self.config.items.model_dump(mode="json", exclude={"sets_folder", "folder"})
        for key in ("per_task", "max_words"):
            if isinstance(items[key], dict):
                items[key] = items[key].get(task)
        code = code_fingerprint("items", *code_of(task))
        params: dict[str, Any] = {"items": items, "files": self.item_contents(task), "code": code}
        if self.config.items.source == "demo":
            return params
        known = self.set_resources(task)
        expected = [edition.model_dump(mode="json") for edition in known.pin.expected]
        return params | {"expected": expected, "excluded": sorted(known.exclusions.clips("drop"))}

    def fetch_params(self, task: str) -> dict[str, Any]:
        """What a fetched set depends on."""
        files = [file.model_dump(mode="json") for file in self.set_resources(task).pin.texts]
        return {"files": files, "code": code_fingerprint("fetch_set")}

    def archive_params(self, task: str) -> dict[str, Any]:
        """What a fetched archive depends on."""
        recordings = self.set_resources(task).pin.recordings
        archive = recordings.archive.model_dump(mode="json") if recordings else None
        return {"archive": archive, "code": code_fingerprint("fetch_set")}

    def recordings_params(self, task: str) -> dict[str, Any]:
        """What the recordings of a set depend on, beside its items and its archive."""
        known = self.set_resources(task)
        lines = [[line.clip, line.treatment] for line in known.exclusions.lines]
        settings = known.pin.recordings.model_dump(mode="json") if known.pin.recordings else None
        return {
            "recordings": settings,
            "files": self.item_contents(task),
            "known": lines,
            "max_seconds": self.config.speech.max_seconds,
            "complete": self.config.items.complete,
            "code": code_fingerprint("recordings", *code_of(task)),
        }

    def planned_items(self, task: str) -> "tuple[list[Item], Basis]":
        """Items of a task: those that were prepared, or would be; where their set is not fetched yet, assumed ones.

        Raises:
            StudyError: The user's own files cannot be read.
        """
        from cascade_equivalence.tasks.items import read_items
        from cascade_equivalence.tasks.planned import assumed_items, planned_count
        from cascade_equivalence.tasks.prepare import of_task, prepare_items

        config, table = self.config.items, Path(self.items(task))
        if table.exists():
            return list(read_items(table)), "items"
        if config.source == "published" and config.folder is None and not Path(*self.fetched_items(task)).exists():
            count = planned_count(self.set_resources(task), task, of_task("per_task", task, config.per_task))
            return assumed_items(task, count), "figures"
        return prepare_items(task, config, RESOURCES, self.sets_folder)[0], "items"
