"""Write the report from tables, figures and a few items."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.models.sources.manifest import read_manifest
    from cascade_equivalence.nodes.provenance import provenance
    from cascade_equivalence.report import claims_table, comparison_display, decisions, replication, replication_rows
    from cascade_equivalence.report.browser import browser_items
    from cascade_equivalence.report.comparison import COMPARISON
    from cascade_equivalence.report.html import write_report
    from cascade_equivalence.report.paper_numbers import read_numbers
    from cascade_equivalence.report.paper_tables import paper_displays, paper_index
    from cascade_equivalence.report.services import services
    from cascade_equivalence.report.tables import Tables, read_csv
    from cascade_equivalence.resources import PAPER_NUMBERS

    files = {
        name: [Path(path) for path in getattr(snakemake.input, name)]
        for name in ("answers", "transcripts", "speech", "item_tables", "figures", "manifests")
    }
    outline, confidence = stages.report.outline(study), study.config.statistics.confidence
    tables = Tables.read(Path(snakemake.input.tables[0]).parent)
    numbers = read_numbers(PAPER_NUMBERS)
    beside = comparison_display.display(read_csv(Path(snakemake.input.comparison), COMPARISON), confidence)
    claims = read_csv(Path(snakemake.input.claims), claims_table.SCHEMA)
    repeated = read_csv(Path(snakemake.input.replication), replication.REPLICATION)
    judged = [
        claims_table.display(claims, confidence),
        decisions.display(tables, stages.report.sufficient_tasks(study)),
    ]
    judged.append(replication.display(repeated))
    layout = paper_displays(tables, tables.shared_errors, study.config.paper, numbers, stages.report.sizes(study))
    drawn = Path(stages.report.paper_folder(study)) / f"{replication_rows.NAME}.svg"
    index = paper_index({table.name for table in layout}, stages.report.figures(study))
    write_report(
        Path(snakemake.output.html),
        title="Cascade equivalence",
        tables=tables,
        figures=files["figures"],
        outline=outline,
        statistics=study.config.statistics,
        items=browser_items(files["answers"], files["transcripts"], files["speech"], files["item_tables"], outline),
        extra_tables=[
            *(("claims", display) for display in judged),
            *(("paper", display) for display in (index, beside, *layout)),
        ],
        extra_figures=[("paper", drawn, replication_rows.CAPTION)] if drawn.is_file() else [],
        words={"claims": [replication.sentence(repeated)]},
        provenance=provenance(study, [read_manifest(path) for path in files["manifests"]])
        | {
            "services": services(files["answers"], study.apis)
            | services(files["transcripts"], study.recogniser_services, "asr")
        },
    )
