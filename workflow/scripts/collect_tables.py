"""Collect the results of all nodes into tables."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.report.build import build_tables
    from cascade_equivalence.report.mechanism_names import MechanismFiles
    from cascade_equivalence.report.tables import write_markdown
    from cascade_equivalence.tasks.registry import get_task

    tables = build_tables(
        [Path(path) for path in snakemake.input.answers],
        [Path(path) for path in snakemake.input.agreement],
        [Path(path) for path in snakemake.input.contrasts],
        [Path(path) for path in snakemake.input.transcripts],
        labels={task: get_task(task).labels for task in study.config.tasks},
        outline=stages.report.outline(study),
        statistics=study.config.statistics,
        speech_files=[Path(path) for path in snakemake.input.speech],
        item_files=[Path(path) for path in snakemake.input.item_tables],
        surplus_files=[Path(path) for path in snakemake.input.surplus],
        retest_files=[Path(path) for path in snakemake.input.retests],
        silence_files=[Path(path) for path in snakemake.input.silence],
        mechanism=MechanismFiles.of(
            {name: getattr(snakemake.input, name) for name in stages.report.mechanism_files(study)}
        ),
    )
    folder = Path(snakemake.output.csv[0]).parent
    tables.write(folder, stages.report.tables(study))
    write_markdown(tables, folder, study.config.statistics.confidence, stages.report.tables(study))
