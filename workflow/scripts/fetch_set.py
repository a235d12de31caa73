"""Fetch the files with a published set's items, or the archive with its recordings."""

from pathlib import Path

from cascade_equivalence.jobs.script import node
from cascade_equivalence.resources import RESOURCES

with node(snakemake) as study:
    from cascade_equivalence.models.sources.wheels import default_cache
    from cascade_equivalence.tasks.sources.dataset import fetch_dataset
    from cascade_equivalence.tasks.sources.fetch import ARCHIVE, fetch_archive, fetch_set
    from cascade_equivalence.tasks.sources.resources import read_resources

    task, record = snakemake.wildcards.task, Path(snakemake.output[0])
    if (dataset := study.task(task).dataset) is not None:
        fetch_dataset(task, dataset, record.parent)
    else:
        fetch = fetch_archive if record.name == ARCHIVE else fetch_set
        fetch(task, read_resources(task, RESOURCES).pin, record.parent, default_cache())
    print(record.read_text(encoding="utf-8"))
