"""Answer one task with a speech LLM while a concept is erased from its states."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.mechanism.erasure import erased_outcomes
    from cascade_equivalence.nodes.answers import model_files
    from cascade_equivalence.nodes.erasure import build_arms, chosen_clips, variants_of, write_outcomes
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    model, concept, task = (snakemake.wildcards[name] for name in ("model", "concept", "task"))
    erasure, spec = study.erasure, study.task(task)
    items = read_items(Path(snakemake.input.item_table))
    clips = chosen_clips(read_clips(Path(snakemake.input.clips)), task, erasure.per_task, erasure.seed)
    paths = [Path(path) for path in snakemake.input.erasers]
    outcomes = erased_outcomes(
        build_arms(task, spec, study.config.answer.system_prompt, items, clips, erasure.text_arm),
        model_files([Path(path) for path in snakemake.input.manifests], study.model(study.text_model(model)).chat),
        variants_of(
            dict(zip(stages.opened_models.layers(study, model) if paths else [], paths, strict=True)), erasure.positions
        ),
        study.config.answer,
        spec.max_new_tokens,
        study.store("erasure", model, concept, f"{task}.jsonl"),
        f"{model} without {concept}: {task}",
        study.store("heard"),
    )
    utterances = pl.read_parquet(snakemake.input.utterances)
    write_outcomes(model, concept, task, spec, items, clips, outcomes, utterances, Path(snakemake.output.answers))
