"""Write the report from tables, figures and a few items."""

from pathlib import Path

from cascade_equivalence.dag.script import node

with node(snakemake) as study:
    from cascade_equivalence.report.examples import examples

    from cascade_equivalence.dag.provenance import provenance
    from cascade_equivalence.models.sources.manifest import read_manifest
    from cascade_equivalence.report.html import write_report
    from cascade_equivalence.report.tables import Tables

    outline = study.outline()
    answers = [Path(path) for path in snakemake.input.answers]
    transcripts = [Path(path) for path in snakemake.input.transcripts]
    write_report(
        Path(snakemake.output.html),
        title="Cascade equivalence",
        tables=Tables.read(Path(snakemake.input.tables[0]).parent),
        figures=[Path(path) for path in snakemake.input.figures],
        outline=outline,
        confidence=study.config.statistics.confidence,
        examples=examples(answers, transcripts, outline),
        provenance=provenance(study, [read_manifest(Path(path)) for path in snakemake.input.manifests]),
    )
