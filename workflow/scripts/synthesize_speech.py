"""Speak the items of one task in one voice."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.conditions import CLEAN
    from cascade_equivalence.progress import remark
    from cascade_equivalence.speech.audit import report_problems
    from cascade_equivalence.speech.clips import write_clips
    from cascade_equivalence.speech.make import make_clips
    from cascade_equivalence.speech.synthesize import Utterance
    from cascade_equivalence.tasks.items import read_items

    task, voice = snakemake.wildcards.task, snakemake.wildcards.voice
    utterances = [Utterance(item.id, item.text, item.style) for item in read_items(Path(snakemake.input.item_table))]
    spec, longest = study.config.definitions.voices[voice], study.config.speech.max_seconds
    store = study.store("speech", task, voice)
    clips = make_clips(utterances, task, voice, spec, longest, store, snakemake.threads)
    for warning in report_problems(clips, task):
        remark(f"Warning: {warning}")
    write_clips(clips, Path(snakemake.output.clips), {"task": task, "voice": voice, "condition": CLEAN})
