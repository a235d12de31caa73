"""Compare the answers of all systems to one task over silence, with each other and with those to speech."""

import json
from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl

    from cascade_equivalence.files import write_text
    from cascade_equivalence.identity import OF
    from cascade_equivalence.stats.floor import floor
    from cascade_equivalence.tasks.registry import get_task

    task, systems = snakemake.wildcards["task"], stages.silence.systems(study)
    silent, spoken = (
        dict(zip(systems, map(pl.read_parquet, paths), strict=True))
        for paths in (snakemake.input.silent, snakemake.input.spoken)
    )
    pairs = stages.silence.pairs(study)
    found = floor(silent, spoken, pairs, get_task(task).labels, study.config.statistics.confidence)
    text = json.dumps({OF: {"task": task}, **found}, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_text(Path(snakemake.output.floor), text)
