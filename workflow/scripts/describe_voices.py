"""Say in words what the voices of one task in one condition tell."""

from pathlib import Path

from cascade_equivalence.jobs.processes import compile_anew
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    compile_anew()

    import polars as pl

    from cascade_equivalence.nodes.voice_words import describe_voices
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    asr, task, condition = (snakemake.wildcards[name] for name in ("asr", "task", "condition"))
    describe_voices(
        [clip for path in snakemake.input.clips for clip in read_clips(Path(path))],
        pl.read_parquet(snakemake.input.transcripts),
        read_items(Path(snakemake.input.item_table)),
        task,
        study.config.surplus,
        Path(snakemake.output.tags),
        {"asr": asr, "task": task, "condition": condition},
    )
