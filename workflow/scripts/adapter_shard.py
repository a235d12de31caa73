"""Speak and hear one shard of a voice adapter's clips."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.adapter.base import open_base
    from cascade_equivalence.adapter.clips import make_shard
    from cascade_equivalence.adapter.draws import draw_shard

    torch.set_num_threads(snakemake.threads)
    name, shard = snakemake.wildcards.adapter, snakemake.wildcards.shard
    material = stages.adapter.material(study, name)
    make_shard(
        draw_shard(
            pl.read_parquet(snakemake.input.texts),
            shard,
            stages.adapter.definition(study, name),
            stages.adapter.read_aloud(study, name),
        ),
        stages.adapter.voices(study, name, shard),
        open_base(material.base, material.audio, material.text),
        Path(snakemake.output.shard),
    )
