"""A study with a speech LLM: it hears the clips, its own transcripts and the true texts are read, contrasts are paired.

The speech LLM is random; it shows that the parts fit together, and nothing else.
"""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from checkout import Checkout, Config, tiny_config

NODES = (("ag_news", "clean"), ("sst2", "clean"), ("sst2", "snr10"))


@pytest.fixture(scope="module")
def results(finished: Checkout, tiny_models: Path) -> Iterator[Path]:
    """The finished study, grown by a speech LLM, its own-transcript and its oracle cascade."""
    # Its models are its own, too, so that nothing of it stays behind in the copy that other tests look at.
    own = {"results": "results/heard", "models_folder": "results/heard/models"}
    study: Config = tiny_config(tiny_models) | own
    study["systems"] = ["heard", "own", "true", "first"]
    study["pairs"] = [
        {"system": "heard", "reference": "first", "label": "matched"},
        {"system": "heard", "reference": "true", "label": "true text"},
    ]
    study["contrasts"] = [{"system": "heard", "first": "first", "second": "true", "label": "contrast"}]
    done = finished.run(study)
    assert done.returncode == 0, done.stdout
    yield finished.root / "results" / "heard"
    shutil.rmtree(finished.root / "results" / "heard")


def read(results: Path, *parts: str) -> pl.DataFrame:
    return pl.read_parquet(results.joinpath(*parts).with_suffix(".parquet"))


def test_every_clip_is_answered(results: Path) -> None:
    for task, condition in NODES:
        heard, typed = (read(results, "answers", system, task, condition) for system in ("heard", "first"))
        assert heard.select("id", "voice").rows() == typed.select("id", "voice").rows()
        assert heard.columns == typed.columns and set(heard["label"]) == set(typed["label"])


def test_the_preflight_says_what_it_heard(results: Path) -> None:
    record = json.loads((results / "preflight" / "speech-a.json").read_text())
    assert all(vectors > 0 for vectors in record["vectors"]) and len(record["heard"]) == len(record["said"]) == 2


def test_the_oracle_reads_the_text_itself(results: Path) -> None:
    for task, condition in NODES:
        texts = read(results, "transcripts", "oracle", task, condition)
        said = read(results, "tasks", task, "items").select("id", said="text")
        both = texts.join(said, on="id", validate="m:1")
        assert both["text"].to_list() == both["said"].to_list() and both["word_errors"].sum() == 0


def test_own_transcripts_come_from_the_speech_llm(results: Path) -> None:
    own = read(results, "transcripts", "speech-a", "ag_news", "clean")
    assert own["text"].n_unique() > 1
    assert own["text"].to_list() != read(results, "transcripts", "whisper-a", "ag_news", "clean")["text"].to_list()


def test_a_contrast_is_the_difference_of_two_kappas(results: Path) -> None:
    from sklearn.metrics import cohen_kappa_score

    table = pl.read_csv(results / "tables" / "contrasts.csv", infer_schema_length=None)
    assert table.height == len(NODES)
    for row in table.iter_rows(named=True):
        heard, first, true = (
            read(results, "answers", system, row["task"], row["condition"])["parsed"].to_list()
            for system in ("heard", "first", "true")
        )
        expected = cohen_kappa_score(heard, first) - cohen_kappa_score(heard, true)
        found = pl.read_csv(results / "contrasts/heard~first~true" / row["task"] / f"{row['condition']}.csv")
        matches = found.filter(pl.col("statistic").str.starts_with("match_"))
        assert matches["text"].to_list() == ["exact"] * 2
        if not math.isnan(expected):  # a kappa may be undefined
            assert row["kappa_difference"] == pytest.approx(expected)


def test_the_backbone_of_a_speech_llm_is_its_text_llm(results: Path) -> None:
    table = pl.read_csv(results / "tables" / "agreement.csv", infer_schema_length=None)
    assert table["match"].unique().to_list() == ["exact"]
    assert "speech LLM" in (results / "report.html").read_text()
