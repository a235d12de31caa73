"""Transcribe one task in one condition, all voices, with one ASR."""

from pathlib import Path

from cascade_equivalence.dag.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.models.sources.manifest import read_manifest
    from cascade_equivalence.models.transcription.run import transcribe_recordings
    from cascade_equivalence.models.transcription.table import recordings, write_transcripts
    from cascade_equivalence.speech.clips import read_clips

    torch.set_num_threads(snakemake.threads)
    asr, task, condition = (snakemake.wildcards[name] for name in ("asr", "task", "condition"))
    manifest = Path(snakemake.input.manifest)
    clips = [clip for path in snakemake.input.clips for clip in read_clips(Path(path))]
    texts = transcribe_recordings(
        recordings(clips),
        manifest.parent,
        read_manifest(manifest).revision,
        study.config.transcribe,
        study.store("transcripts", asr, task, f"{condition}.jsonl"),
        f"{asr}: {task}, {condition}",
    )
    write_transcripts(clips, texts, Path(snakemake.output.transcripts))
