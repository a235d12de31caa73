"""Measure a trained connector on held-out texts, and write its model card."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.connector.evaluation import evaluate_connector, write_card

    torch.set_num_threads(snakemake.threads)
    name = snakemake.wildcards.connector
    spec = stages.connector.definition(study, name)
    folder = Path(snakemake.input.weights).parent
    material = stages.connector.material(study, name)
    chat = study.model(spec.text_model).chat
    results = evaluate_connector(folder, material.held_out, material.text_folder, spec.transcription, chat)
    write_card(name, spec, results, folder)
