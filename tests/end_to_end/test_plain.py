"""A study runs with Snakemake alone: what is built beside the engine saves time, and changes no answer."""

from pathlib import Path

import polars as pl
import pytest
from checkout import Checkout, tiny_config

ANSWERS = "results/tiny/answers/first/sst2/clean.parquet"


@pytest.mark.models
def test_nodes_run_by_themselves_and_answer_alike(tiny_models: Path, tmp_path: Path) -> None:
    study = tiny_config(tiny_models) | {"items": {"source": "demo", "per_task": 4}}
    study["speech"]["voices"] = ["us"]
    study["noise"]["babble_voices"] = ["gb"]
    found = []
    for warm in (False, True):
        project = Checkout(tmp_path / f"warm {warm}")
        project.warm = warm
        if not warm:
            # Nothing can be kept between processes either: neither parsed modules nor compiled code.
            project.cache.mkdir()
            for name in ("code", "compiled"):
                (project.cache / name).write_text("no folder")
        done = project.run(study, ANSWERS)
        assert done.returncode == 0, done.stdout
        found.append(pl.read_parquet(project.root / ANSWERS).drop("seconds"))
    assert found[0].height == 4 and found[0].equals(found[1])
