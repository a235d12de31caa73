"""Read one layer of a speech LLM through its own unembedding."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.mechanism.lens_node import lens_layer

    torch.set_num_threads(snakemake.threads)
    given, model, layer = snakemake.input, snakemake.wildcards.model, int(snakemake.wildcards.layer)
    lens_layer(
        Path(given.states),
        Path(given.last),
        Path(given.index),
        Path(given.utterances),
        Path(given.manifest).parent,
        study.mechanism.lens,
        Path(snakemake.output.lens),
        {"model": model, "layer": layer},
        f"lens on layer {layer} of {model}",
        study.mechanism.states.device,
        study.config.answer.dtype,
    )
