"""Compare the answers of a system that is asked again with its first ones."""

import json
from pathlib import Path

from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    import polars as pl

    from cascade_equivalence.conditions import CLEAN
    from cascade_equivalence.files import write_text
    from cascade_equivalence.stats.retest import retest
    from cascade_equivalence.tasks.registry import get_task
    from cascade_equivalence.tasks.repeats import SETTING

    names = {name: snakemake.wildcards[name] for name in ("system", "variant", "task")}
    again = pl.read_parquet(snakemake.input.again)
    labels, confidence = get_task(names["task"]).labels, study.config.statistics.confidence
    result = names | {"condition": CLEAN, SETTING: again[SETTING].first()}
    result |= retest(pl.read_parquet(snakemake.input.usual), again, labels, confidence)
    text = json.dumps(result, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_text(Path(snakemake.output.agreement), text)
