"""Fit the erasers of one concept at all layers of a model."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.mechanism.erasers import LayerFiles, fit_concept

    torch.set_num_threads(snakemake.threads)
    given = snakemake.input
    layers = {
        layer: LayerFiles(*map(Path, own))
        for layer, *own in zip(
            stages.opened_models.layers(study, snakemake.params.model),
            given.states,
            given.moments,
            given.probes,
            strict=True,
        )
    }
    fit_concept(
        snakemake.params.model,
        snakemake.wildcards.concept,
        layers,
        Path(given.utterances),
        Path(given.index),
        study.erasure,
        Path(snakemake.output.summary).parent,
        Path(given.read[0]) if given.read else None,
    )
