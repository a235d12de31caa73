"""Make the clips of one task and voice as they are heard in one condition."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.conditions import parse_condition
    from cascade_equivalence.speech.clips import read_clips, write_clips
    from cascade_equivalence.speech.kinds import make_condition

    task, voice, noise = (snakemake.wildcards[name] for name in ("task", "voice", "noise"))
    clean = read_clips(Path(snakemake.input.clean))
    folder = stages.noise.folder(study, noise)
    # With a folder, an input is only the manifest beside its sound files.
    pool = [clip for path in snakemake.input.pool for clip in read_clips(Path(path))] if folder is None else []
    made = make_condition(clean, task, parse_condition(noise), study.config.noise, pool, folder)
    write_clips(made, Path(snakemake.output.clips), {"task": task, "voice": voice, "condition": noise})
