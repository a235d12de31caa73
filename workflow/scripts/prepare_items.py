"""Load, clean, check and sample the items of one task."""

from pathlib import Path

from cascade_equivalence.jobs.script import node
from cascade_equivalence.resources import RESOURCES

with node(snakemake) as study:
    from cascade_equivalence.tasks.items import write_items
    from cascade_equivalence.tasks.prepare import prepare_items
    from cascade_equivalence.tasks.registry import get_task

    task = snakemake.wildcards.task
    items, notes = prepare_items(task, study.config.items, RESOURCES, study.sets_folder)
    write_items(items, Path(snakemake.output.item_table), task, get_task(task).labels)
    print("\n".join(notes))
    print(f"{len(items)} items of {task}: {', '.join(item.id for item in items)}")
