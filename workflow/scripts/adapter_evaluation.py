"""Measure a voice adapter on held-out texts and voices, and write its model card."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.adapter.run import evaluate_adapter

    torch.set_num_threads(snakemake.threads)
    name = snakemake.wildcards.adapter
    evaluate_adapter(
        stages.adapter.definition(study, name),
        stages.adapter.material(study, name),
        Path(snakemake.input.weights).parent,
        name,
    )
