"""Compare the answers of a system that is asked again with its first ones."""

from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl

    from cascade_equivalence.conditions import CLEAN
    from cascade_equivalence.stats.numbers import write_comparison
    from cascade_equivalence.stats.retest import retest
    from cascade_equivalence.tasks.registry import get_task
    from cascade_equivalence.tasks.repeats import SETTING

    names = {name: snakemake.wildcards[name] for name in ("system", "variant", "task")}
    again = pl.read_parquet(snakemake.input.again)
    labels, confidence = get_task(names["task"]).labels, study.config.statistics.confidence
    result = {"variant": names["variant"], SETTING: again[SETTING].first()}
    result |= retest(pl.read_parquet(snakemake.input.usual), again, labels, confidence)
    of = {"system": names["system"], "reference": names["system"], "task": names["task"], "condition": CLEAN}
    write_comparison(result, of, Path(snakemake.output.agreement))
