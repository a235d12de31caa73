"""A study with a system behind an API, run by Snakemake against a stand-in of the service."""

from pathlib import Path

import polars as pl
import pytest
from api_server import KEY, MODEL, serving
from checkout import Checkout, tiny_config

PRICES = {"input_text": 0.3, "input_audio": 1.0, "output": 2.5}


def test_it_answers_is_charged_once_and_is_shown_as_a_speech_llm(
    tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout(tmp_path / "project")
    study = tiny_config(tiny_models)
    del study["noise"]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("STAND_IN_KEY", KEY)
    with serving() as server:
        cloud = {"kind": "api", "provider": "gemini", "model": MODEL, "base_url": server.url("gemini")}
        study["definitions"]["systems"]["cloud"] = cloud | {"key_env": "STAND_IN_KEY", "prices": PRICES}
        study |= {"tasks": ["sst2"], "systems": ["cloud", "first"], "items": {"source": "demo", "per_task": 4}}
        study["pairs"] = [{"system": "cloud", "reference": "first", "label": "its LLM is not known"}]
        done = checkout.run(study)
        assert done.returncode == 0, done.stdout
        results = checkout.root / "results" / "tiny"
        answers = pl.read_parquet(results / "answers" / "cloud" / "sst2" / "clean.parquet")
        assert answers.height == 8 and answers["cost"].null_count() == 0 and set(answers["currency"]) == {"USD"}
        asked = len((results / "store" / "answers" / "cloud" / "sst2" / "clean.jsonl").read_bytes().splitlines())
        assert asked == answers.filter(pl.col("cost") > 0).height
        costs = pl.read_csv(results / "tables" / "costs.csv")
        (money,) = costs.filter(system="cloud")["money"]
        assert money == pytest.approx(answers["cost"].sum()) and costs.filter(system="first")["money"].null_count() == 1
        assert pl.read_csv(results / "tables" / "agreement.csv")["match"].to_list() == ["unknown"]
        page = (results / "report.html").read_text(encoding="utf-8")
        assert f"behind an API ({MODEL})" in page and "services / cloud" in page and KEY not in page
    # What was paid for is asked no more: neither the service nor the key is there.
    monkeypatch.delenv("STAND_IN_KEY")
    again = checkout.run(study, "--forcerun", "answer_api")
    assert again.returncode == 0 and "Asking cloud" in again.stdout, again.stdout
    after = pl.read_parquet(results / "answers" / "cloud" / "sst2" / "clean.parquet")
    assert after.equals(answers)
    assert len((results / "store" / "answers" / "cloud" / "sst2" / "clean.jsonl").read_bytes().splitlines()) == asked
