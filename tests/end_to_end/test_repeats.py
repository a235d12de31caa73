"""Systems that are asked again, for real, on tiny models."""

from pathlib import Path

import polars as pl
from checkout import Checkout, tiny_config

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import VARIANTS
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.numbers import by_comparison, read_comparison


def test_a_cascade_and_a_speech_llm_are_asked_again(finished: Checkout, tiny_models: Path) -> None:
    config = tiny_config(tiny_models) | {"results": "results/again", "tasks": ["commonsense_qa"]}
    config |= {"systems": ["first", "heard"], "pairs": []}
    del config["noise"]
    config["statistics"] |= {"repeats": list(VARIANTS)}
    study = Study(load_study(config, finished.root))
    files = stages.repeat.all_files(study)
    assert len(files) == 2 * len(VARIANTS)
    done = finished.run(config, *files)
    assert done.returncode == 0, done.stdout
    for each, file in zip(stages.repeat.retests(study), files, strict=True):
        ((of, found),) = by_comparison(read_comparison(finished.root / file))
        usual, other = (
            pl.read_parquet(finished.root / path)
            for path in (
                stages.answer.file(study, each.system, each.task, "clean"),
                stages.repeat.answers(study, each.system, each.variant, each.task),
            )
        )
        assert (of[0], found["variant"].text, of[3]) == (each.system, each.variant, each.task)
        assert found["rows"].value == usual.height == other.height
        assert found["setting"].text == other["setting"].unique().item()
        assert usual.select("id", "voice", "label").equals(other.select("id", "voice", "label"))
        same_prompt = usual["prompt_sha256"].equals(other["prompt_sha256"])
        assert same_prompt is (each.variant in ("batch", "precision"))
