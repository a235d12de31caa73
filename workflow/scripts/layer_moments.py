"""Mean and covariance of a layer's states."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake):
    import torch

    from cascade_equivalence.mechanism.moments import measure_files

    torch.set_num_threads(snakemake.threads)
    given = snakemake.input
    measure_files(Path(given.states), Path(given.index), Path(given.utterances), Path(snakemake.output.moments))
