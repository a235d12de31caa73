"""Draw the figures from the tables."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.report.figures.write import write_figures
    from cascade_equivalence.report.tables import Tables

    folder = Path(snakemake.input.tables[0]).parent
    write_figures(Tables.read(folder), folder.with_name("figures"), stages.report.figures(study))
