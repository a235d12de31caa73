"""Transcribe one task in one condition, all voices, by an ASR, a speech LLM, or a text or file that is given."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.models.transcription.table import write_transcripts
    from cascade_equivalence.speech.clips import read_clips

    asr, task, condition = (snakemake.wildcards[name] for name in ("asr", "task", "condition"))
    manifests = [Path(path) for path in snakemake.input.manifests]
    clips = [clip for path in snakemake.input.clips for clip in read_clips(Path(path))]
    store = study.store("transcripts", asr, task, f"{condition}.jsonl")
    label = f"{asr}: {task}, {condition}"
    if snakemake.input.made_from:
        from cascade_equivalence.models.transcription.degraded import degraded_transcripts

        sources = map(Path, snakemake.input.made_from)
        said = [clip.text for clip in clips]
        transcripts = degraded_transcripts(asr, study.transcripts_of(asr), said, *sources, f"{task}, {condition}")
    elif (outside := study.transcripts_of(asr)) is not None:
        from cascade_equivalence.models.transcription.outside import outside_transcripts
        from cascade_equivalence.models.transcription.transcript import Transcript

        voices, wanted = study.voices_of(task, condition), [(clip.id, clip.voice) for clip in clips]
        transcripts = list(map(Transcript, outside_transcripts(asr, outside, task, condition, voices, wanted)))
    elif not manifests:
        from cascade_equivalence.nodes.transcripts import given_texts

        transcripts = given_texts(asr, clips)
    elif study.is_speech_llm(asr):
        import torch

        from cascade_equivalence.nodes.answers import model_files
        from cascade_equivalence.nodes.transcripts import own_transcripts

        torch.set_num_threads(snakemake.threads)
        files = model_files(manifests, study.model(study.text_model(asr)).chat)
        kept = study.store("heard")
        transcripts = own_transcripts(clips, study.model(asr), files, study.config.answer, store, label, kept)
    else:
        import torch

        from cascade_equivalence.models.sources.manifest import read_manifest
        from cascade_equivalence.models.transcription.run import transcribe_recordings
        from cascade_equivalence.models.transcription.table import recordings

        torch.set_num_threads(snakemake.threads)
        transcripts = transcribe_recordings(
            recordings(clips),
            manifests[0].parent,
            read_manifest(manifests[0]).revision,
            study.config.transcribe,
            store,
            label,
        )
    of = {"asr": asr, "task": task, "condition": condition}
    write_transcripts(clips, transcripts, Path(snakemake.output.transcripts), of)
