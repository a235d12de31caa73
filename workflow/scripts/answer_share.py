"""Answer one share of a task in one condition with one system."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import torch

    from cascade_equivalence.models.shares import JobShare, answer_share, write_share
    from cascade_equivalence.nodes.answers import asked

    torch.set_num_threads(snakemake.threads)
    of = {name: snakemake.wildcards[name] for name in ("system", "task", "condition")}
    system, task, condition = of.values()
    share = JobShare(int(snakemake.wildcards.number), int(snakemake.wildcards.of))
    given = snakemake.input
    ask = asked(study, of, Path(given.item_table), [Path(p) for p in given.heard], [Path(p) for p in given.manifests])
    answers = answer_share(
        ask.questions,
        ask.model,
        study.answering(system),
        study.task(task).max_new_tokens,
        study.store("answers", system, task, f"{condition}.jsonl"),
        share,
        f"{system}: {task}, {condition}, share {share.number} of {share.of}",
        study.store("heard"),
    )
    write_share(answers, Path(snakemake.output.share), of | {"number": share.number, "of": share.of})
