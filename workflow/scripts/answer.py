"""Answer one task in one condition, all voices, with one system."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.models.shares import gathered, take_over
    from cascade_equivalence.nodes.answers import asked, score_answers

    torch.set_num_threads(snakemake.threads)
    of = {name: snakemake.wildcards[name] for name in ("system", "task", "condition")}
    system, task, condition = of.values()
    given = snakemake.input
    ask = asked(study, of, Path(given.item_table), [Path(p) for p in given.heard], [Path(p) for p in given.manifests])
    spec, store = study.task(task), study.store("answers", system, task, f"{condition}.jsonl")
    if given.shares:
        answers = gathered([Path(path) for path in given.shares], store, len(ask.questions))
    else:
        take_over(store)
        answers = answer_questions(
            ask.questions,
            ask.model,
            study.answering(system),
            spec.max_new_tokens,
            store,
            f"{system}: {task}, {condition}",
            kept=study.store("heard"),
        )
    mode, path = study.config.answer.mode, Path(snakemake.output.answers)
    score_answers(task, spec, mode, ask.items, ask.rows, answers, path, of)
