"""Probe one layer by what is not linear, before and after a concept is erased."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.mechanism.mlp_probes import curved_layer
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    given, model, layer = snakemake.input, snakemake.wildcards.model, int(snakemake.wildcards.layer)
    styles = {
        (task, item.id): item.style
        for task, path in zip(study.mechanism.states.tasks, given.item_tables, strict=True)
        for item in read_items(Path(path))
    }
    curved_layer(
        Path(given.states),
        Path(given.index),
        Path(given.utterances),
        styles,
        stages.curved.settings(study),
        Path(snakemake.output.found),
        {"model": model, "layer": layer},
    )
