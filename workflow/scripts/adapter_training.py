"""Train a voice adapter; an interrupted run goes on from its checkpoint."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.adapter.run import train_adapter

    torch.set_num_threads(snakemake.threads)
    name = snakemake.wildcards.adapter
    train_adapter(
        stages.adapter.definition(study, name),
        stages.adapter.material(study, name),
        stages.adapter.store(study, name),
        Path(snakemake.output.model).parent,
    )
