"""Prepares the items of one task: own ones, a published set or the user's own, sampled as the config says."""

from collections.abc import Mapping
from pathlib import Path

from cascade_equivalence.config.names import TaskName
from cascade_equivalence.config.study import ItemsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item, Split
from cascade_equivalence.tasks.items import check_items
from cascade_equivalence.tasks.own import OwnTask, remarks_on
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.tasks.sampling import sample
from cascade_equivalence.tasks.sources.dataset import fetched_dataset
from cascade_equivalence.tasks.sources.draw import prepare_published


def prepare_items(
    task_name: str, config: ItemsConfig, resources: Path, sets: Path, split: Split = "test"
) -> tuple[list[Item], list[str]]:
    """Load, check and sample the items of a task.

    Args:
        task_name: The task.
        config: Which items are asked.
        resources: The project's folder of resources; a task that is not the package's has its own.
        sets: Folder of the published sets, one sub-folder a task.
        split: `test`, or `dev` for the demo items that only serve to choose prompts; published sets have one split
            each.

    Returns:
        The items, in the order of the draw, and lines for the log.

    Raises:
        StudyError: If the task, its files or its items are not as they should be, or nothing is left to ask.
    """
    task = get_task(task_name)
    resources = task.beside or resources
    count, words = of_task("per_task", task_name, config.per_task), of_task("max_words", task_name, config.max_words)
    try:
        if isinstance(task, OwnTask):
            items = task.load(config.sets_folder)
            files = [task.file] if task.file is not None else fetched_dataset(config.sets_folder / task_name).files
            return sample(items, count, config.seed, words, balanced=task.balanced), remarks_on(items, files)
        if config.source == "published":
            return prepare_published(task, sets, resources, count, config.seed, words, complete=config.complete)
        items = task.load_demo(resources / "items", split)
        check_items(items, task.labels, f"the demo items of {task_name}")
        return sample(items, count, config.seed, words, balanced=task.balanced), []
    except StudyError as error:
        raise StudyError(f"{task_name}: {error}") from error


def of_task(key: str, task_name: str, value: int | Mapping[TaskName, int]) -> int:
    """A setting that is one number, or one a task.

    Raises:
        StudyError: If it lists tasks and this one is not among them.
    """
    if isinstance(value, int):
        return value
    numbers = {str(name): number for name, number in value.items()}
    if task_name not in numbers:
        raise StudyError(f"`items.{key}` gives no number for {task_name}; it has {', '.join(numbers) or 'none'}.")
    return numbers[task_name]
