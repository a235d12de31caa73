"""Check that a speech LLM hears a known clip, alone as in company, before it answers anything."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import json

    import torch

    from cascade_equivalence.files import write_text
    from cascade_equivalence.models.answering import open_model
    from cascade_equivalence.models.speech_llm.preflight import preflight
    from cascade_equivalence.nodes.answers import model_files
    from cascade_equivalence.nodes.transcripts import transcription_prompt
    from cascade_equivalence.resources import RESOURCES
    from cascade_equivalence.speech.waveform import decode_flac

    torch.set_num_threads(snakemake.threads)
    name = snakemake.wildcards.model
    manifests = [Path(path) for path in snakemake.input.manifests]
    files = model_files(manifests, study.model(study.text_model(name)).chat)
    text, model = open_model(files, study.config.answer)
    folder = RESOURCES / "preflight"
    said = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    clips = [decode_flac((folder / f"{clip}.flac").read_bytes()) for clip in said]
    prompt = text.render(*transcription_prompt(study.model(name)))
    record = preflight(model, clips, list(said.values()), prompt)
    write_text(Path(snakemake.output.record), json.dumps(record, indent=2, sort_keys=True) + "\n")
