"""Answer one task in one condition, all voices, with one system."""

from pathlib import Path

from cascade_equivalence.dag.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.dag.answers import judge, questions
    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.models.sources.manifest import read_manifest
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    system, task, condition = (snakemake.wildcards[name] for name in ("system", "task", "condition"))
    manifest = Path(snakemake.input.manifest)
    spec = study.task(task)
    items = read_items(Path(snakemake.input.item_table))
    transcripts = pl.read_parquet(snakemake.input.transcripts)
    answers = answer_questions(
        questions(task, spec, study.config.answer.system_prompt, items, transcripts),
        manifest.parent,
        read_manifest(manifest).revision,
        study.model(study.system(system).llm).chat,
        study.config.answer,
        spec.max_new_tokens,
        study.store("answers", system, task, f"{condition}.jsonl"),
        f"{system}: {task}, {condition}",
    )
    judge(task, spec, study.config.answer.mode, items, transcripts, answers, Path(snakemake.output.answers))
