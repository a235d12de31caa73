"""From a study's config to the items of one task."""

from pathlib import Path

from cascade_equivalence.config.study import ItemsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item, Split
from cascade_equivalence.tasks.items import check_items
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.tasks.sampling import sample


def prepare_items(task_name: str, config: ItemsConfig, demo_folder: Path, split: Split = "test") -> list[Item]:
    """Load, check and sample the items of a task.

    Args:
        task_name: The task.
        config: Which items are asked.
        demo_folder: Folder of the project's own items.
        split: `test`, or `dev` for the demo items that only serve to choose prompts; published sets have one split
            each.

    Returns:
        The items, in the order of the draw.

    Raises:
        StudyError: If the task, its files or its items are not as they should be, or nothing is left to ask.
    """
    task = get_task(task_name)
    if config.source == "demo":
        items, source = task.load_demo(demo_folder, split), f"the demo items of {task_name}"
    else:
        items, source = task.load_published(published_folder(config)), f"the published items of {task_name}"
    check_items(items, task.labels, source)
    try:
        return sample(items, items_wanted(task_name, config), config.seed, config.max_words, balanced=task.balanced)
    except StudyError as error:
        raise StudyError(f"{task_name}: {error}") from error


def published_folder(config: ItemsConfig) -> Path:
    """The folder of the published sets.

    Raises:
        StudyError: If the config names none.
    """
    if config.folder is None:
        raise StudyError(
            "`items.source` is `published`, but `items.folder` names no folder with the published sets (one sub-folder "
            "a task). Set it, or set `items.source: demo`."
        )
    return config.folder


def items_wanted(task_name: str, config: ItemsConfig) -> int:
    """How many items of a task the config asks for.

    Raises:
        StudyError: If `items.per_task` lists tasks and this one is not among them.
    """
    if isinstance(config.per_task, int):
        return config.per_task
    counts = {str(name): count for name, count in config.per_task.items()}
    if task_name not in counts:
        raise StudyError(f"`items.per_task` gives no number for {task_name}; it has {', '.join(counts) or 'none'}.")
    return counts[task_name]
