"""Put states that a speech LLM heard, and states that it read, into runs of other items."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.mechanism.patching import restored
    from cascade_equivalence.nodes.answers import model_files
    from cascade_equivalence.nodes.patching import build_pairs, write_restored
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items

    torch.set_num_threads(snakemake.threads)
    model, task = (snakemake.wildcards[name] for name in ("model", "task"))
    config, spec = stages.patching.settings(study), study.task(task)
    items = read_items(Path(snakemake.input.item_table))
    clips = read_clips(Path(snakemake.input.clips))
    pairs, arms = build_pairs(task, spec, study.config.answer.system_prompt, items, clips, config)
    found = restored(
        arms,
        model_files([Path(path) for path in snakemake.input.manifests], study.model(study.text_model(model)).chat),
        stages.opened_models.layers(study, model),
        config.positions,
        study.config.answer,
        study.store("patching", model, f"{task}.jsonl"),
        f"states of {model} in other runs: {task}",
        study.store("heard"),
    )
    write_restored(model, task, pairs, found, Path(snakemake.output.patched))
