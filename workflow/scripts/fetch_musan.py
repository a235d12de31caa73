"""Fetch MUSAN's archive, or find it on this machine, and check it."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.models.sources.wheels import default_cache
    from cascade_equivalence.tasks.sources.musan import fetch_musan

    musan = study.config.noise.musan
    assert musan is not None
    print(fetch_musan(musan, Path(snakemake.output.record), default_cache()))
