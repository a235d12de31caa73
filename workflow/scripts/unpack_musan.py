"""Unpack the speech or the music of MUSAN."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake):
    from cascade_equivalence.tasks.sources.musan import unpack_musan

    unpack_musan(Path(snakemake.input.archive), snakemake.wildcards.part, Path(snakemake.output.manifest).parent)
