"""What an export needs of a results folder: its study, and each system's answers beside the items that were asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.record import latest_config
from cascade_equivalence.tasks.items import SCHEMA
from cascade_equivalence.tasks.repeats import AGAIN

ASKED = ("id", "text", "options", "aliases")
ANSWERED = ("id", "voice", "group", "label", "raw", "parsed", "correct")


@dataclass(frozen=True)
class ScoredNode:
    """The answers of one system to one task in one condition.

    Attributes:
        task: The task.
        condition: The condition.
        answers: The answers file's table, and the items' ``text``, ``options`` and ``aliases`` beside it.
        when: When the file was written, in seconds since 1970.
    """

    task: str
    condition: str
    answers: pl.DataFrame
    when: int

    @property
    def name(self) -> str:
        """How an evaluation of it is called."""
        return f"{self.task}/{self.condition}"


def recorded_study(results: Path) -> Mapping[str, Any]:
    """The config of a results folder's study with its definitions, as its records hold it.

    Raises:
        StudyError: The folder has no records.
    """
    if held := latest_config(results, "definitions"):
        return held
    raise StudyError(f"{results} holds no record of its study's config: run the study first")


def dataset_of(study: Mapping[str, Any], task: str) -> Mapping[str, Any] | None:
    """The data set of the hub that a task of the user's own is read from, as the config has it; None for others."""
    tasks = (study.get("definitions") or {}).get("tasks") or {}
    found = (tasks.get(task) or {}).get("dataset")
    return found if isinstance(found, Mapping) else None


def is_published(study: Mapping[str, Any]) -> bool:
    """Whether a study asks items whose words are others'; what is not known to be the project's own is."""
    asked = map(str, study.get("tasks") or ())
    return (study.get("items") or {}).get("source") != "demo" or any(dataset_of(study, task) for task in asked)


def labels_of(task: str) -> Sequence[str]:
    """The closed label set; of a task of the study's own, which its records do not open again, none is taken."""
    return TASKS[task].labels if task in TASKS else ()


def has_labels(study: Mapping[str, Any], task: str) -> bool:
    """Whether a task's answers are of a closed set, which are nobody's words; of the user's own, as its config says."""
    own = ((study.get("definitions") or {}).get("tasks") or {}).get(task) or {}
    return bool(labels_of(task) or own.get("labels"))


def systems_of(results: Path, study: Mapping[str, Any]) -> Iterator[tuple[str, list[ScoredNode]]]:
    """The systems that have answered, with what they answered, in the order of the study.

    Raises:
        StudyError: No system has, or a file does not fit its items.
    """
    items = {task: _items(results, task) for task in study["tasks"]}
    found = False
    for system in study["systems"]:
        paths = sorted((results / "answers" / system).glob("*/*.parquet"))
        nodes = [_node(path, items[path.parent.name]) for path in paths if path.parent.name in items]
        if nodes and AGAIN not in system:
            found = True
            yield system, nodes
    if not found:
        raise StudyError(f"{results} has no answers yet: run the study first")


def _items(results: Path, task: str) -> pl.DataFrame:
    path = results / "tasks" / task / "items.parquet"
    if not path.is_file():
        return pl.DataFrame(schema={name: SCHEMA[name] for name in ASKED})
    return _table(path, ASKED).select(ASKED)


def _table(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """A file with all of some columns."""
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StudyError(f"{path} cannot be read ({error}): remove it and run the study again") from error
    if missing := [name for name in columns if name not in table.columns]:
        raise StudyError(f"{path} has no {', '.join(missing)}: another version of this project made it; run again")
    return table


def _node(path: Path, items: pl.DataFrame) -> ScoredNode:
    answers = _table(path, ANSWERED).join(items, on="id", how="left", maintain_order="left")
    if answers["text"].null_count():
        raise StudyError(f"{path} has answers to items that {path.parent.name} does not have: run the study again")
    return ScoredNode(path.parent.name, path.stem, answers, int(path.stat().st_mtime))
