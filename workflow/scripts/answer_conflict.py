"""Ask one system about pairs of items of one task with different labels, one heard and one typed in the same prompt."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.models.transcription.table import recordings
    from cascade_equivalence.nodes.answers import model_files, spoken_rows
    from cascade_equivalence.nodes.conflict import build_conflicts, write_conflicts
    from cascade_equivalence.nodes.read_texts import read_texts
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    system, task = (snakemake.wildcards[name] for name in ("system", "task"))
    spec, sounds = study.task(task), None
    if study.system(system).kind == "e2e":
        clips = [clip for path in snakemake.input.heard for clip in read_clips(Path(path))]
        rows = spoken_rows(clips)
        sounds = dict(zip(rows["id"], recordings(clips), strict=True))
    else:
        rows = read_texts(study.system(system), spec.label_words, snakemake.input.heard)
        rows = rows.filter(voice=stages.conflict.voice(study, task))
    conflicts, asked = build_conflicts(
        task,
        spec,
        study.config.answer.system_prompt,
        read_items(Path(snakemake.input.item_table)),
        dict(rows.select("id", "text").iter_rows()),
        study.config.conflict,
        sounds,
    )
    files = model_files([Path(path) for path in snakemake.input.manifests], study.model(study.backbone(system)).chat)
    # Labels are scored by transformers alone.
    usual = study.answering(system).model_copy(update={"engine": "transformers"})
    answers, scored = (
        answer_questions(
            asked,
            files,
            usual.model_copy(update={"mode": mode}),
            spec.max_new_tokens,
            study.store("conflict", system, f"{task}.jsonl"),
            f"{system}: {task}, heard against typed",
            kept=study.store("heard"),
        )
        for mode in (usual.mode, "forced_choice")
    )
    of = {"system": system, "task": task}
    write_conflicts(task, spec, usual.mode, conflicts, answers, scored, Path(snakemake.output.answers), of)
