"""Make clips of silence, as long as the spoken ones of one task and voice."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.conditions import SILENCE
    from cascade_equivalence.speech.clips import read_clips, write_clips
    from cascade_equivalence.speech.silence import silenced

    of = {name: snakemake.wildcards[name] for name in ("task", "voice")} | {"condition": SILENCE}
    made = silenced(read_clips(Path(snakemake.input.clean)), study.config.speech.silence_items)
    write_clips(made, Path(snakemake.output.clips), of)
