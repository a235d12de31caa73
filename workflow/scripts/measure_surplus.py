"""Measure what the audio of a task tells of its labels beyond the transcripts."""

from pathlib import Path

from cascade_equivalence.jobs.processes import compile_anew
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    compile_anew()

    from cascade_equivalence.nodes.surplus import measure_surplus

    transcripts = [Path(path) for path in snakemake.input.transcripts]
    measure_surplus(
        [Path(path) for path in snakemake.input.clips],
        transcripts[0] if transcripts else None,
        Path(snakemake.input.item_table),
        snakemake.wildcards.task,
        study.config.surplus,
        study.config.statistics,
        Path(snakemake.output.surplus),
    )
