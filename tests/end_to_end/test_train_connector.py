"""A connector is trained from texts to model card, by the rules a user calls, between two tiny random models."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout, Config, tiny_config

SENTENCES = [f"Number {n} of the quiet valley has {n + 7} doors. He liked window {n * 3} very much!" for n in range(40)]
ROOT = "results/trained"


def connector(digest: str) -> Config:
    source = {"index": "pypi", "name": "texts", "version": "1", "sha256": digest, "members": ["a.txt"]}
    return {
        "audio_model": "whisper-a",
        "text_model": "llama-a",
        "width": 16,
        "heads": 2,
        "hidden": 16,
        "blocks": 1,
        "clips": 12,
        "shard_clips": 6,
        "evaluation_clips": 4,
        "evaluation_voices": ["v"],
        "transcription": {"prompt": '"{speech}"\nWhat was said?', "answer_prefix": '"', "max_new_tokens": 4},
        "texts": {"sources": [source | {"format": "lines", "licence": "none"}], "max_words": 8, "held_out": 0.3},
        "voices": {"v": {"share": 1, "voice": {"provider": "espeak"}}},
        "frames": {"epochs": 2, "batch_size": 4, "evaluate_every": 3, "drawn_classes": 20},
        "distil": {"steps": 2, "batch_size": 4, "tasks": ["sst2"], "evaluate_every": 2},
    }


@pytest.fixture(scope="module")
def trained(finished: Checkout, tiny_models: Path) -> Iterator[tuple[Checkout, Config]]:
    """A copy of the project in which a connector was trained."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "\n".join(SENTENCES))
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    # As if it had been fetched before: there is no index here.
    kept = finished.cache / "texts" / digest
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(buffer.getvalue())
    study: Config = tiny_config(tiny_models) | {"results": ROOT, "models_folder": f"{ROOT}/models"}
    study["definitions"]["connectors"] = {"c": connector(digest)}
    study["connectors"] = ["c"]
    done = finished.run(study, "train_connector")
    assert done.returncode == 0, done.stdout
    yield finished, study
    shutil.rmtree(finished.root / ROOT)


def test_it_ends_in_a_model_with_its_card(trained: tuple[Checkout, Config]) -> None:
    folder = trained[0].root / ROOT / "connectors" / "c" / "model"
    config = json.loads((folder / "config.json").read_text())
    assert config["connector"]["kind"] == "token-mixture" and config["text_model_id"] == "llama-a"
    rates = json.loads((folder / "evaluation.json").read_text())["v"]["word_error_rate"]
    assert set(rates) == {"connector", "speech_llm", "text_llm_repeating"} and all(rate >= 0 for rate in rates.values())
    card = (folder / "README.md").read_text()
    assert "{" not in card and "the project's own items" in card and f"{rates['connector']:.3f}" in card


def test_nothing_is_left_to_do_and_a_changed_second_stage_trains_that_alone(trained: tuple[Checkout, Config]) -> None:
    checkout, study = trained
    assert checkout.plan(study, "train_connector").jobs == set()
    study["definitions"]["connectors"]["c"]["distil"]["steps"] = 3
    rules = {job[0] for job in checkout.plan(study, "train_connector").jobs}
    assert rules == {"connector_distil", "connector_evaluation", "train_connector"}
    study["definitions"]["connectors"]["c"]["distil"]["steps"] = 2


def test_a_study_hears_with_what_was_trained(trained: tuple[Checkout, Config]) -> None:
    checkout, study = trained
    source = {"kind": "path", "path": f"{ROOT}/connectors/c/model"}
    model = {"role": "speech-llm", "licence": "none", "source": source}
    study["definitions"]["models"]["c"] = model | {"text_model": "llama-a", "audio_model": "whisper-a"}
    study["definitions"]["systems"]["with-c"] = {"kind": "e2e", "model": "c"}
    study |= {"systems": ["with-c"], "pairs": [], "tasks": ["sst2"], "noise": {}}
    plan = checkout.plan(study)
    assert plan.code == 0 and ("preflight", "c") in plan.jobs
    done = checkout.run(study, f"{ROOT}/models/c/manifest.json")
    assert done.returncode == 0, done.stdout
    manifest = json.loads((checkout.root / ROOT / "models" / "c" / "manifest.json").read_text())
    assert manifest["architecture"]["parts"] == ["multi_modal_projector"]
    assert manifest["architecture"]["connector"] == "token-mixture"
