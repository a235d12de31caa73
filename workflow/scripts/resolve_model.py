"""Resolve the weights of one model."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.models.sources.resolve import resolve_model

    name = snakemake.wildcards.model
    parts = {part: Path(manifest).parent for part, manifest in stages.resolve.parts(study, name).items()}
    resolve_model(name, study.model(name), Path(snakemake.output.manifest).parent, parts=parts)
