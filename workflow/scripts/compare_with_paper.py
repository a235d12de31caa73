"""Set the study's numbers beside the paper's, and its tables in the paper's layout."""

from pathlib import Path

from cascade_equivalence.dag.script import node

with node(snakemake) as study:
    from cascade_equivalence.atomic import write_text
    from cascade_equivalence.report.comparison import comparison
    from cascade_equivalence.report.display import markdown
    from cascade_equivalence.report.paper_index import paper_index
    from cascade_equivalence.report.paper_numbers import read_numbers
    from cascade_equivalence.report.paper_tables import paper_displays, write_paper_tables
    from cascade_equivalence.report.tables import Tables, write_csv
    from cascade_equivalence.resources import PAPER_NUMBERS

    tables = Tables.read(Path(snakemake.input.tables[0]).parent)
    numbers = read_numbers(PAPER_NUMBERS)
    write_csv(comparison(numbers, tables, study.config.paper), Path(snakemake.output.comparison))
    shown = paper_displays(tables, tables.shared_errors, study.config.paper, numbers)
    folder = Path(snakemake.output.paper)
    folder.mkdir(parents=True, exist_ok=True)
    write_paper_tables(shown, folder)
    index = paper_index({table.name for table in shown}, study.figures())
    write_text(folder / "README.md", markdown(index))
