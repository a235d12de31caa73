"""Transcribe one task in one condition, all voices, with a recogniser that an endpoint runs."""

import sys
from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.models.api.records import version_changes
    from cascade_equivalence.nodes.api_transcripts import transcribe_clips
    from cascade_equivalence.speech.clips import read_clips

    asr, task, condition = (snakemake.wildcards[name] for name in ("asr", "task", "condition"))
    transcribe_clips(
        [clip for path in snakemake.input.clips for clip in read_clips(Path(path))],
        stages.api.recogniser(study, asr),
        study.store("transcripts", asr, task, f"{condition}.jsonl"),
        f"{asr}: {task}, {condition}",
        Path(snakemake.output.transcripts),
        {"asr": asr, "task": task, "condition": condition},
    )
    for sentence in version_changes(study.store("transcripts", asr)):
        print(f"Warning: {sentence}", file=sys.stderr)
