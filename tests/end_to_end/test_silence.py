"""Silence, a cascade that reads nothing, and a recogniser that is not Whisper, for real, on tiny models."""

import json
from pathlib import Path

import polars as pl
import pytest
from checkout import Checkout, tiny_config
from tiny_recognisers import TINY

from cascade_equivalence.config.load import load_study
from cascade_equivalence.stages.study import Study


def test_silence_and_the_prior_reach_the_report(finished: Checkout, tiny_models: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny_models) | {"results": "results/silent", "tasks": ["sst2", "commonsense_qa"]}
    del config["noise"]
    config["items"]["per_task"] = 12
    config["speech"] |= {"silence": True, "silence_items": 10}
    config["definitions"]["systems"]["unheard"] = {"kind": "cascade", "asr": "prior", "llm": "llama-a"}
    # A recogniser that is not Whisper is an entry like others.
    letters = {"kind": "path", "path": str(TINY["wav2vec2"](tmp_path / "letters", 3))}
    config["definitions"]["models"]["letters"] = {"role": "asr", "licence": "none: random numbers", "source": letters}
    config["definitions"]["systems"]["spelt"] = {"kind": "cascade", "asr": "letters", "llm": "llama-a"}
    config["systems"] = ["first", "heard", "unheard", "spelt"]
    config["pairs"] = [
        {"system": "heard", "reference": "first", "label": "matched"},
        {"system": "first", "reference": "unheard", "label": "the floor"},
    ]
    done = finished.run(config)
    assert done.returncode == 0, done.stdout
    results = finished.root / config["results"]
    assert Study(load_study(config, finished.root)).silent_nodes

    # What is heard is silence, of one voice; what the prior gives is nothing, in both.
    silent = pl.read_parquet(results / "speech/sst2/us/silence.parquet")
    assert silent.height == 10 and not (results / "speech/sst2/gb/silence.parquet").exists()
    assert pl.read_parquet(results / "transcripts/prior/sst2/clean.parquet")["text"].to_list() == [""] * 24

    table = pl.read_csv(results / "tables/silence.csv")
    assert table.select("system", "task").rows() == [
        (system, task) for system in config["systems"] for task in config["tasks"]
    ]
    # Whatever is heard, a system that reads nothing answers the same.
    unheard = table.filter(system="unheard")
    assert unheard["observed_agreement"].to_list() == [1, 1] and unheard["accuracy_difference"].to_list() == [0, 0]
    pairs = pl.read_csv(results / "tables/silence_pairs.csv")
    assert pairs.height == 4 and set(pairs["rows"]) == {10}
    for row in table.iter_rows(named=True):
        answers = pl.read_parquet(results / "answers" / row["system"] / row["task"] / "silence.parquet")
        assert row["accuracy"] == pytest.approx(answers["correct"].mean())
        assert row["rows"] == answers.height == 10
    # The usual tables are of speech alone.
    for name in ("agreement", "errors"):
        assert set(pl.read_csv(results / f"tables/{name}.csv")["condition"]) == {"clean"}
    # Nothing was said: all words are the recogniser's own.
    transcription = pl.read_csv(results / "tables/transcription.csv")
    assert set(transcription["asr"]) == {"whisper-a", "letters", "prior"}
    written = transcription.filter(condition="silence", asr="whisper-a")
    assert set(written["reference_words"]) == {0} and written["inserted"].equals(written["word_errors"])
    page = (results / "report.html").read_text()
    assert "When nothing is said" in page and "How alike they answer when nothing is said" in page
    assert json.loads((results / "silence/sst2.json").read_text())["of"] == {"task": "sst2"}
