"""Answer one task on clean speech once more with one system, under what should not matter."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl
    import torch

    from cascade_equivalence.conditions import CLEAN
    from cascade_equivalence.config.names import VARIANTS
    from cascade_equivalence.identity import write_table
    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.models.device import resolve_device, resolve_dtype
    from cascade_equivalence.nodes.answers import heard_rows, model_files, questions, scored_answers
    from cascade_equivalence.nodes.retest import asked_items, in_words, restored
    from cascade_equivalence.tasks.items import read_items
    from cascade_equivalence.tasks.repeats import AGAIN, SETTING

    torch.set_num_threads(snakemake.threads)
    system, name, task = (snakemake.wildcards[key] for key in ("system", "variant", "task"))
    variant, spec = VARIANTS[name], stages.repeat.asked_with(study, name, task)
    items = read_items(Path(snakemake.input.item_table))
    asked = asked_items(items, variant)
    rows, audio = heard_rows(study, system, task, snakemake.input.heard)
    usual = study.answering(system)
    dtype = str(resolve_dtype(usual.dtype, resolve_device(usual.device))).removeprefix("torch.")
    usual = usual.model_copy(update={"dtype": dtype})
    changed = stages.repeat.changed(name, usual)
    answers = answer_questions(
        questions(task, spec, usual.system_prompt, asked, rows, audio),
        model_files([Path(path) for path in snakemake.input.manifests], study.model(study.backbone(system)).chat),
        variant.configure(usual),
        spec.max_new_tokens,
        study.store("answers", f"{system}{AGAIN}{name}", task, f"{CLEAN}.jsonl"),
        f"{system}, {variant.title}: {task}",
        again={"variant": name, **changed},
        kept=study.store("heard"),
    )
    table = restored(scored_answers(task, spec, usual.mode, asked, rows, answers), items, variant)
    table = table.with_columns(pl.lit(in_words(variant, usual, changed)).alias(SETTING))
    of = {"system": system, "variant": name, "task": task, "condition": CLEAN}
    write_table(table, Path(snakemake.output.answers), of)
