"""Take over the answers of one system that others asked about one task."""

from pathlib import Path

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.nodes.imported_answers import write_imported
    from cascade_equivalence.tasks.items import read_items

    system, task = (snakemake.wildcards[name] for name in ("system", "task"))
    write_imported(
        system,
        study.imported[system],
        task,
        study.task(task),
        read_items(Path(snakemake.input.item_table)),
        study.voices_of(task, CLEAN),
        Path(snakemake.output.answers),
    )
