"""Choose the texts of a connector's training."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.connector.texts import prepare_texts
    from cascade_equivalence.files import replacing
    from cascade_equivalence.models.sources.wheels import default_cache
    from cascade_equivalence.resources import RESOURCES

    spec = stages.connector.definition(study, snakemake.wildcards.connector)
    texts = prepare_texts(spec.texts, spec.clips, spec.evaluation_clips, default_cache(), RESOURCES / "items")
    with replacing(Path(snakemake.output.texts)) as part:
        texts.write_parquet(part)
