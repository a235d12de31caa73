"""Cascades whose LLM and recogniser are behind an endpoint, run by Snakemake against a stand-in on loopback."""

import hashlib
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from api_server import KEY, MODEL, StandIn, Trouble, serving, transcript_of
from checkout import Checkout, Config
from killing import Run, wait_until

PRICES = {"input_text": 1.0, "input_audio": 0.0, "output": 4.0}
AT_ONCE = 2  # nodes of services


def study_of(server: StandIn) -> Config:
    """Endpoints only: no weights at all."""
    endpoint = {"kind": "endpoint", "base_url": server.url("openai"), "model": MODEL, "key_env": "STAND_IN_KEY"}
    models: dict[str, Any] = {
        "writer": {"role": "llm", "licence": "none", "source": endpoint | {"prices": PRICES, "concurrency": 1}},
        "listener": {
            "role": "asr",
            "licence": "none",
            "source": endpoint | {"prices": {"audio_minute": 0.06}, "concurrency": 1},
        },
    }
    systems = {
        name: {"kind": "cascade", "asr": asr, "llm": "writer"}
        for name, asr in (("heard", "listener"), ("true", "oracle"), ("unheard", "prior"))
    }
    return {
        "registry": ["config/voices.yaml", "config/tasks.yaml"],
        "results": "results/far",
        "models_folder": "results/far/models",
        "tasks": ["sst2"],
        "items": {"source": "demo", "per_task": 4},
        "speech": {"voices": ["us", "gb"], "silence": True},
        "noise": {"snr_db": [10], "voices": ["us"], "tasks": ["sst2"], "babble_voices": ["gb"], "talkers": 1},
        "systems": list(systems),
        "pairs": [{"system": "heard", "reference": "true", "label": "what the recogniser costs"}],
        "statistics": {"draws": 200},
        "definitions": {"models": models, "systems": systems},
    }


def asked(server: StandIn) -> Counter[tuple[str, str, str]]:
    """How often each question was asked."""
    return Counter(
        (request.provider, repr(request.turns), hashlib.sha256(request.wav).hexdigest()) for request in server.heard
    )


def test_what_is_asked_of_endpoints_is_asked_once_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout(tmp_path / "project")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        study = study_of(server)
        results = checkout.root / study["results"]
        monkeypatch.setenv("STAND_IN_KEY", KEY)
        # Killed with requests under way.
        release = threading.Event()
        server.plan = lambda number: Trouble(hold=release) if number >= 5 else None
        run = Run(checkout, study)
        assert wait_until(lambda: len(server.heard) > 5 or run.ended()) and not run.ended(), run.log.read_text()
        run.kill_all()
        release.set()
        server.plan = lambda _: None
        # A budget ends it before all is asked.
        stopped = checkout.run(study | {"api": {"budget": {"calls": 14}}})
        assert stopped.returncode, stopped.stdout
        logs = "".join(path.read_text() for path in (results / "logs").rglob("*.log"))
        assert "the budget of 14 calls is reached" in logs
        done = checkout.run(study)
        assert done.returncode == 0, done.stdout
        assert not (results / "models").exists(), "there are no weights"
        again = sum(asked(server).values()) - len(asked(server))
        # What was under way when it was killed came back to nobody.
        assert again <= AT_ONCE

        transcripts = pl.read_parquet(results / "transcripts/listener/sst2/clean.parquet")
        assert transcripts.height == 8 and transcripts["cost"].null_count() == 0
        heard = {transcript_of(request.wav) for request in server.heard if request.wav}
        assert set(transcripts["text"]) <= heard and transcripts["word_errors"].min() > 0
        # The prior is one question for all of its rows, whatever the condition.
        prior = pl.read_parquet(results / "answers/unheard/sst2/clean.parquet")
        assert prior.filter(pl.col("cost") > 0).height <= 1 and prior["raw"].n_unique() == 1
        # What the LLM reads is what the recogniser wrote, in the prompt of every cascade.
        texts = [turns[-1][1] for turns in (request.turns for request in server.heard) if turns]
        assert all(any(text in prompt for prompt in texts) for text in transcripts["text"])
        assert pl.read_csv(results / "tables/agreement.csv")["match"].unique().to_list() == ["unknown"]
        errors = pl.read_csv(results / "tables/transcription.csv")
        assert set(errors.filter(asr="listener")["condition"]) == {"clean", "snr10", "silence"}
        page = (results / "report.html").read_text(encoding="utf-8")
        assert "services / heard" in page and "services / listener" in page and KEY not in page
        # A cascade costs what its transcripts and its answers cost.
        answers = pl.read_parquet(results / "answers/heard/sst2/clean.parquet")
        costs = pl.read_csv(results / "tables/costs.csv").filter(system="heard", condition="clean")
        assert costs["money"].item() == pytest.approx(answers["cost"].sum() + transcripts["cost"].sum())
        calls = len(server.heard)
        assert not any(
            KEY.encode() in path.read_bytes() for path in results.rglob("*") if path.is_file() and path.stat().st_size
        )

    # What was paid for is asked no more: neither the service nor the key is there.
    monkeypatch.delenv("STAND_IN_KEY")
    replay = checkout.run(study, "--forcerun", "answer_api", "transcribe_api")
    assert replay.returncode == 0 and "Asking listener to transcribe" in replay.stdout, replay.stdout
    assert len(server.heard) == calls
    assert pl.read_parquet(results / "transcripts/listener/sst2/clean.parquet").equals(transcripts)
