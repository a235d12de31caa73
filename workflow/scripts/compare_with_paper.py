"""Set the study's numbers beside the paper's, and its tables in the paper's layout."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.files import write_text
    from cascade_equivalence.report import replication_rows
    from cascade_equivalence.report.claims_paper import CLAIMS
    from cascade_equivalence.report.claims_table import asked, claims_table
    from cascade_equivalence.report.comparison import comparison
    from cascade_equivalence.report.display import markdown
    from cascade_equivalence.report.figures.drawing import save
    from cascade_equivalence.report.paper_numbers import read_numbers
    from cascade_equivalence.report.paper_tables import paper_displays, paper_index, write_paper_tables
    from cascade_equivalence.report.replication import replication
    from cascade_equivalence.report.tables import Tables, write_csv
    from cascade_equivalence.resources import PAPER_NUMBERS
    from cascade_equivalence.tasks.registry import get_task

    tables = Tables.read(Path(snakemake.input.tables[0]).parent)
    numbers = read_numbers(PAPER_NUMBERS)
    beside = comparison(numbers, tables, study.config.paper)
    write_csv(beside, Path(snakemake.output.comparison))
    write_csv(replication(beside), Path(snakemake.output.replication))
    claims = claims_table(
        asked(CLAIMS.values(), tables),
        tables,
        sufficient=stages.report.sufficient_tasks(study),
        labels={task: get_task(task).labels for task in study.config.tasks},
        paper=study.config.paper,
        numbers=numbers,
        statistics=study.config.statistics,
    )
    write_csv(claims, Path(snakemake.output.claims))
    shown = paper_displays(tables, tables.shared_errors, study.config.paper, numbers, stages.report.sizes(study))
    folder = Path(snakemake.output.paper)
    folder.mkdir(parents=True, exist_ok=True)
    write_paper_tables(shown, folder)
    if replication_rows.shown(beside).height:
        save(replication_rows.figure1_beside, beside, folder / replication_rows.NAME)
    index = paper_index({table.name for table in shown}, stages.report.figures(study))
    write_text(folder / "README.md", markdown(index))
