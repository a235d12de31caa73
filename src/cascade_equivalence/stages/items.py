"""The stage that prepares the items of tasks: from where, and what they depend on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages.fingerprint import code_fingerprint, code_of
from cascade_equivalence.stages.study import Study

if TYPE_CHECKING:
    from cascade_equivalence.tasks.base import Item
    from cascade_equivalence.tasks.planned import Basis
    from cascade_equivalence.tasks.sources.resources import SetResources


def file(study: Study, task: str) -> str:
    """Items of a task."""
    return f"{study.results}/tasks/{task}/items.parquet"


def known_set(study: Study, task: str) -> "SetResources":
    """What the project knows of a task's published set."""
    from cascade_equivalence.tasks.sources.resources import NOTHING_KNOWN, read_resources

    if TASKS[task].dataset is not None:
        return NOTHING_KNOWN
    if task not in study.known_sets:
        study.known_sets[task] = read_resources(task, TASKS[task].resources)
    found: SetResources = study.known_sets[task]
    return found


def fetched(study: Study, task: str) -> list[str]:
    """What a node fetched that the items of a task are read from; none of own items and of a user's folder."""
    if TASKS[task].dataset is not None:
        return [f"{study.sets}/{task}/manifest.json"]
    own = TASKS[task].file is not None
    fetches = not own and study.config.items.source != "demo" and study.config.items.folder is None
    if fetches and not known_set(study, task).pin.texts:
        raise StudyError(
            f"items.folder: nothing says where the set of {task} comes from; name your folder with {task}/, or "
            f"write {TASKS[task].resources / 'sets.yaml'}"
        )
    return [f"{study.sets}/{task}/manifest.json"] if fetches else []


def sources(study: Study, task: str) -> list[Path]:
    """Files that the items of a task are read from, where no node fetches them."""
    if (own := TASKS[task].file) is not None:
        return [own]
    if TASKS[task].dataset is not None:
        return []
    if study.config.items.source == "demo":
        return [TASKS[task].resources / "items" / f"{task}.jsonl"]
    if study.config.items.folder is None:
        return []
    from cascade_equivalence.tasks.registry import get_task
    from cascade_equivalence.tasks.sources.draw import HasReserve

    folder, known = study.config.items.folder, get_task(task)
    reserve = known.reserve_files(folder) if isinstance(known, HasReserve) else []
    return [*known.published_files(folder), *reserve]


def contents(study: Study, task: str) -> dict[str, str | None]:
    """Hashes of those files: where they lie, and since when, makes no other items of them."""
    return contents_of(sources(study, task), study.remembered_hashes)


def params(study: Study, task: str) -> dict[str, Any]:
    """What the items of a task depend on."""
    items = study.config.items.model_dump(mode="json", exclude={"sets_folder", "folder"})
    for key in ("per_task", "max_words"):
        if isinstance(items[key], dict):
            items[key] = items[key].get(task)
    without = [] if study.task(task).is_own else ["tasks/own.py"]
    code = code_fingerprint("prepare_items", *code_of(task), without=without)
    params: dict[str, Any] = {"items": items, "files": contents(study, task), "code": code}
    if study.task(task).is_own:
        return params | {"own": study.task(task).read_as()}
    if study.config.items.source == "demo":
        return params
    known = known_set(study, task)
    expected = [edition.model_dump(mode="json") for edition in known.pin.expected]
    return params | {"expected": expected, "excluded": sorted(known.exclusions.clips("drop"))}


def planned(study: Study, task: str) -> "tuple[list[Item], Basis]":
    """Items of a task: those that were prepared, or would be; where their set is not fetched yet, assumed ones.

    Raises:
        StudyError: The user's own files cannot be read.
    """
    from cascade_equivalence.tasks.items import read_items
    from cascade_equivalence.tasks.planned import assumed_items, planned_count
    from cascade_equivalence.tasks.prepare import of_task, prepare_items

    config, table = study.config.items, Path(file(study, task))
    if table.exists():
        return list(read_items(table)), "items"
    if (manifest := fetched(study, task)) and not Path(*manifest).exists():
        wanted = of_task("per_task", task, config.per_task)
        own = TASKS[task].dataset is not None
        count = wanted if own else planned_count(known_set(study, task), task, wanted)
        return assumed_items(task, count), "figures"
    return prepare_items(task, config, RESOURCES, study.sets_folder)[0], "items"


def all_files(study: Study) -> list[str]:
    """Items of every task."""
    return [file(study, task) for task in study.config.tasks]
