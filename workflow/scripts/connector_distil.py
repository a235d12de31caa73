"""Train a connector's second stage; an interrupted run goes on from its checkpoint."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.connector.run import second_stage

    torch.set_num_threads(snakemake.threads)
    name = snakemake.wildcards.connector
    spec = stages.connector.definition(study, name)
    second_stage(
        spec,
        stages.connector.material(study, name),
        {task: study.task(task) for task in spec.distil.tasks},
        spec.transcription,
        study.model(spec.text_model).chat,
        Path(snakemake.input.first).parent,
        stages.connector.store(study, name, "distil"),
        Path(snakemake.output.weights).parent,
    )
