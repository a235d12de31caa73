"""Take each spoken word out of what a speech LLM hears, and of what its own text LLM reads."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.nodes.answers import model_files
    from cascade_equivalence.nodes.attributions import (
        attributions,
        build_questions,
        spoken_items,
        word_finder,
        write_attributions,
    )
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    model, task = (snakemake.wildcards[name] for name in ("model", "task"))
    spoken, missed = spoken_items(
        task,
        read_items(Path(snakemake.input.item_table)),
        read_clips(Path(snakemake.input.clips)),
        pl.read_parquet(snakemake.input.transcripts),
        word_finder(Path(snakemake.input.timing).parent, stages.attributions.timing(study)),
        stages.attributions.settings(study),
    )
    manifests, chat = [Path(path) for path in snakemake.input.manifests], study.model(study.text_model(model)).chat
    found = attributions(
        build_questions(task, study.task(task), study.config.answer.system_prompt, spoken),
        model_files(manifests, chat),
        model_files(manifests[:1], chat),
        study.config.answer,
        study.store("attributions", model, f"{task}.jsonl"),
        f"words of {task} out, {model}",
        study.store("heard"),
    )
    write_attributions(model, task, spoken, found, missed, Path(snakemake.output.words))
