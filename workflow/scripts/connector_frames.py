"""Train a connector's first stage; an interrupted run goes on from its checkpoint."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.connector.run import first_stage

    torch.set_num_threads(snakemake.threads)
    name = snakemake.wildcards.connector
    first_stage(
        stages.connector.definition(study, name),
        stages.connector.material(study, name),
        stages.connector.store(study, name, "frames"),
        Path(snakemake.output.weights).parent,
    )
