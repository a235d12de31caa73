"""Speak, encode and align one shard of a connector's training clips."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.connector.shards import make_shard, open_encoder, shard_texts
    from cascade_equivalence.models.transcription.alignment import Aligner

    torch.set_num_threads(snakemake.threads)
    spec = stages.connector.definition(study, snakemake.wildcards.connector)
    folder = Path(snakemake.input.manifest).parent
    make_shard(
        shard_texts(pl.read_parquet(snakemake.input.texts), snakemake.wildcards.shard, spec),
        spec.voices,
        open_encoder(folder),
        Aligner(folder),
        Path(snakemake.output.shard),
    )
