"""Answer one task while a speech LLM's states are moved along a direction, or kept from a concept at a single layer."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.nodes.answers import model_files
    from cascade_equivalence.nodes.erasure import fitted_ids
    from cascade_equivalence.nodes.steering import asked, changes, fitted_directions, split_clips, steer, write_steered
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    model, task = (snakemake.wildcards[name] for name in ("model", "task"))
    config, spec, answer = stages.steering.settings(study), study.task(task), study.config.answer
    items = read_items(Path(snakemake.input.item_table))
    fitted, clips = split_clips(items, read_clips(Path(snakemake.input.clips)), task, config)
    manifests, chat = [Path(path) for path in snakemake.input.manifests], study.model(study.text_model(model)).chat
    files, kept = model_files(manifests, chat), study.store("heard")
    layers = stages.opened_models.layers(study, model)
    erasers = {
        concept: {layer: Path(path) for layer, path in own.items()}
        for concept, own in stages.steering.eraser_files(study, model).items()
    }
    ways = changes(fitted_directions(task, spec, items, fitted, files, layers, answer, kept), erasers, config)
    found = steer(
        ways,
        asked(task, spec, answer.system_prompt, items, clips),
        files,
        answer,
        study.store("steering", model, f"{task}.jsonl"),
        f"{model} steered: {task}",
        kept,
    )
    seen = [fitted_ids(pl.read_parquet(path), task) for path in snakemake.input.utterances]
    write_steered(model, task, items, clips, ways, found, set().union(*seen), Path(snakemake.output.answers))
