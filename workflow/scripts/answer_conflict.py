"""Ask one system about pairs of items of one task with different labels, one heard and one typed in the same prompt."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.nodes.answers import heard_rows, model_files
    from cascade_equivalence.nodes.conflict import build_conflicts, write_conflicts
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    system, task = (snakemake.wildcards[name] for name in ("system", "task"))
    spec = study.task(task)
    rows, audio = heard_rows(study, system, task, snakemake.input.heard)
    sounds = None if audio is None else dict(zip(rows["id"], audio, strict=True))
    # Transcripts are of all voices.
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
