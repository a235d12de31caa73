"""Probe one layer for pitch, energy and characters."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.mechanism.probes import probe_layer

    torch.set_num_threads(snakemake.threads)
    opened, layer = snakemake.wildcards.opened, int(snakemake.wildcards.layer)
    model = stages.opened_models.original(opened)
    probe_layer(
        Path(snakemake.input.states),
        Path(snakemake.input.index),
        Path(snakemake.input.utterances),
        stages.probes.settings(study, opened),
        Path(snakemake.output.found),
        Path(snakemake.output.ctc),
        {"model": model, "untrained": opened != model, "layer": layer},
    )
