"""Resolve the weights of one model."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.models.sources.resolve import resolve_model

    name = snakemake.wildcards.model
    resolve_model(name, study.model(name), Path(snakemake.output.manifest).parent)
