"""Choose the texts of a voice adapter's training."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.adapter.plan import text_counts
    from cascade_equivalence.connector.texts import prepare_texts
    from cascade_equivalence.files import replacing
    from cascade_equivalence.models.sources.wheels import default_cache
    from cascade_equivalence.resources import RESOURCES

    spec = stages.adapter.definition(study, snakemake.wildcards.adapter)
    texts = stages.adapter.read_aloud(study, snakemake.wildcards.adapter).texts
    chosen = prepare_texts(texts, *text_counts(spec), default_cache(), RESOURCES / "items")
    with replacing(Path(snakemake.output.texts)) as part:
        chosen.write_parquet(part)
