"""Read what a speech LLM's last layer shows at the audio positions, as transcripts."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.mechanism.implicit import implicit_texts
    from cascade_equivalence.models.transcription.table import recordings, write_transcripts
    from cascade_equivalence.models.transcription.transcript import Transcript
    from cascade_equivalence.nodes.answers import heard_items, model_files, questions, spoken_rows
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    lens, task, condition = (snakemake.wildcards[name] for name in ("lens", "task", "condition"))
    model = study.listener(lens)
    clips = [clip for path in snakemake.input.clips for clip in read_clips(Path(path))]
    rows = spoken_rows(clips)
    items = heard_items(read_items(Path(snakemake.input.item_table)), rows, study.most_items(condition))
    prompt = study.config.answer.system_prompt
    asked = questions(task, study.task(task), prompt, items, rows, recordings(clips))
    texts = implicit_texts(
        asked,
        model_files([Path(path) for path in snakemake.input.manifests], study.model(study.text_model(model)).chat),
        study.config.answer,
        study.store("transcripts", lens, task, f"{condition}.jsonl"),
        f"{lens}: {task}, {condition}",
        study.store("heard"),
    )
    of = {"asr": lens, "task": task, "condition": condition}
    write_transcripts(clips, [Transcript(text) for text in texts], Path(snakemake.output.transcripts), of)
