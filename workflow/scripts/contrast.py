"""Compare a system's agreement with two references on one task in one condition."""

from collections.abc import Iterable
from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl

    from cascade_equivalence.models.sources.manifest import read_manifest
    from cascade_equivalence.stats.backbone import Match, backbone_match
    from cascade_equivalence.stats.contrast import contrast
    from cascade_equivalence.stats.numbers import OF, write_comparison
    from cascade_equivalence.tasks.registry import get_task

    def match(manifests: Iterable[str]) -> Match:
        """Match of two backbones; one manifest stands for two that are the same, none for one that is not known."""
        sides = [read_manifest(Path(path)) for path in manifests]
        if not sides:
            return "unknown"
        return backbone_match(*((manifest.revision, manifest.architecture) for manifest in (sides[0], sides[-1])))

    result = contrast(
        *(pl.read_parquet(snakemake.input[name]) for name in ("system", "first", "second")),
        get_task(snakemake.wildcards.task).labels,
        confidence=study.config.statistics.confidence,
    )
    result["match_first"] = match(snakemake.input.first_manifests)
    result["match_second"] = match(snakemake.input.second_manifests)
    names = (snakemake.wildcards[name] for name in ("system", "first", "second", "task", "condition"))
    write_comparison(result, dict(zip(OF, names, strict=True)), Path(snakemake.output.contrast))
