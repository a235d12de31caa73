"""Set states of what a speech LLM hears beside states of the same words read."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.nodes.similarity import compare_hearing
    from cascade_equivalence.nodes.states import clips_of
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    given, model = snakemake.input, snakemake.wildcards.model
    layers = stages.opened_models.layers(study, model)
    compare_hearing(
        study,
        model,
        pl.read_parquet(given.utterances),
        clips_of(study, [Path(path) for path in given.clips]),
        {
            task: read_items(Path(path))
            for task, path in zip(study.mechanism.states.tasks, given.item_tables, strict=True)
        },
        [Path(path) for path in given.manifests],
        dict(zip(layers, map(Path, given.states), strict=True)),
        Path(given.index),
        Path(snakemake.output.similarity),
        Path(snakemake.output.means),
    )
