"""Train a connector's first stage; an interrupted run goes on from its checkpoint."""

from pathlib import Path

from cascade_equivalence.dag.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.connector.run import first_stage

    torch.set_num_threads(snakemake.threads)
    name = snakemake.wildcards.connector
    first_stage(
        study.connector(name),
        study.material(name),
        study.training_store(name, "frames"),
        Path(snakemake.output.weights).parent,
    )
