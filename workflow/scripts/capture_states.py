"""Capture the states of a model's layers, all from one forward pass a batch."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.nodes.states import capture, clips_of
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    tasks = study.mechanism.states.tasks
    capture(
        study,
        snakemake.params.opened,
        pl.read_parquet(snakemake.input.utterances),
        clips_of(study, [Path(path) for path in snakemake.input.clips]),
        {task: read_items(Path(path)) for task, path in zip(tasks, snakemake.input.item_tables, strict=True)},
        [Path(path) for path in snakemake.input.manifests],
        [Path(path) for path in snakemake.output.states],
        Path(snakemake.output.index),
    )
