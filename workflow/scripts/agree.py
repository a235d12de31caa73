"""Compare two systems on one task in one condition."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl

    from cascade_equivalence.models.sources.manifest import read_manifest
    from cascade_equivalence.stats.backbone import backbone_match
    from cascade_equivalence.stats.compare import compare
    from cascade_equivalence.stats.numbers import write_comparison
    from cascade_equivalence.tasks.registry import get_task

    statistics = study.config.statistics
    bounds = statistics.equivalence
    result = compare(
        pl.read_parquet(snakemake.input.system),
        pl.read_parquet(snakemake.input.reference),
        get_task(snakemake.wildcards.task).labels,
        heard=pl.read_parquet(snakemake.input.heard[0]) if snakemake.input.heard else None,
        accuracy_margin=bounds.accuracy_margin,
        kappa_bound=bounds.kappa_bound,
        draws=statistics.draws,
        confidence=statistics.confidence,
        seed=statistics.seed,
    )
    sides = [read_manifest(Path(path)) for path in snakemake.input.manifests]
    # What is behind an API is not known.
    result["match"] = (
        backbone_match(*((manifest.revision, manifest.architecture) for manifest in (sides[0], sides[-1])))
        if sides
        else "unknown"
    )
    of = {name: snakemake.wildcards[name] for name in ("system", "reference", "task", "condition")}
    write_comparison(result, of, Path(snakemake.output.agreement))
