"""Mix babble into the clips of one task and voice at one signal-to-noise ratio."""

from pathlib import Path

from cascade_equivalence.dag.script import node

with node(snakemake) as study:
    from cascade_equivalence.conditions import parse_condition
    from cascade_equivalence.speech.clips import read_clips, write_clips
    from cascade_equivalence.speech.noise import mix_condition

    clean = read_clips(Path(snakemake.input.clean))
    pool = [clip for path in snakemake.input.pool for clip in read_clips(Path(path))]
    snr_db = parse_condition(snakemake.wildcards.noise)
    mixed = mix_condition(clean, pool, snakemake.wildcards.task, snr_db, study.config.noise)
    write_clips(mixed, Path(snakemake.output.clips))
