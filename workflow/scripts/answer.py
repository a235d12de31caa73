"""Answer one task in one condition, all voices, with one system."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.models.transcription.table import recordings
    from cascade_equivalence.nodes.answers import heard_items, model_files, questions, score_answers, spoken_rows
    from cascade_equivalence.nodes.read_texts import read_texts
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    system, task, condition = (snakemake.wildcards[name] for name in ("system", "task", "condition"))
    spec = study.task(task)
    items = read_items(Path(snakemake.input.item_table))
    if study.system(system).kind == "e2e":
        clips = [clip for path in snakemake.input.heard for clip in read_clips(Path(path))]
        rows, audio = spoken_rows(clips), recordings(clips)
    else:
        rows, audio = read_texts(study.system(system), spec.label_words, snakemake.input.heard), None
    items = heard_items(items, rows, study.most_items(condition))
    manifests = [Path(path) for path in snakemake.input.manifests]
    answers = answer_questions(
        questions(task, spec, study.config.answer.system_prompt, items, rows, audio),
        model_files(manifests, study.model(study.backbone(system)).chat),
        study.answering(system),
        spec.max_new_tokens,
        study.store("answers", system, task, f"{condition}.jsonl"),
        f"{system}: {task}, {condition}",
        kept=study.store("heard"),
    )
    of = {"system": system, "task": task, "condition": condition}
    score_answers(task, spec, study.config.answer.mode, items, rows, answers, Path(snakemake.output.answers), of)
