"""A voice adapter is trained from texts to model card by the rules a user calls, and a study hears with it."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout, Config, tiny_config

SENTENCES = [f"Number {n} of the quiet valley has {n + 7} doors." for n in range(90)]
ROOT = "results/adapted"


ESPEAK = {"provider": "espeak", "name": "en-us+m1"}


def connector(digest: str) -> Config:
    """What is read aloud; the connector itself is not trained."""
    source = {"index": "pypi", "name": "texts", "version": "1", "sha256": digest, "members": ["a.txt"]}
    return {
        "audio_model": "whisper-a",
        "text_model": "llama-a",
        "transcription": {"prompt": "{speech}"},
        "texts": {"sources": [source | {"format": "lines", "licence": "none"}], "held_out": 0.4, "joined": 0.0},
        "voices": {"a": {"share": 1, "voice": ESPEAK}},
        "evaluation_voices": ["a"],
    }


def adapter() -> Config:
    return {
        "base": "speech-a",
        "voiced_tasks": ["mustard"],
        "text_tasks": ["sst2"],
        "hidden": 8,
        "clips": 12,
        "plain_clips": 6,
        "shard_clips": 6,
        "evaluation_texts": 1,
        "read": "c",
        "voices": {"a": ESPEAK},
        "evaluation_voices": {"gb": {"provider": "espeak", "name": "en-gb"}},
        "lora": {"rank": 2, "layers": ["q_proj"]},
        "training": {"classifier_steps": 4, "steps": 4, "batch_size": 4, "evaluate_every": 2},
    }


@pytest.fixture(scope="module")
def trained(finished: Checkout, tiny_models: Path) -> Iterator[tuple[Checkout, Config]]:
    """A copy of the project in which a voice adapter was trained."""
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
    study["definitions"]["adapters"] = {"v": adapter()}
    study["adapters"] = ["v"]
    done = finished.run(study, "train_adapter")
    assert done.returncode == 0, done.stdout
    yield finished, study
    shutil.rmtree(finished.root / ROOT)


def test_it_ends_in_a_model_with_its_card(trained: tuple[Checkout, Config]) -> None:
    folder = trained[0].root / ROOT / "adapters" / "v" / "model"
    found = json.loads((folder / "evaluation.json").read_text())
    heard = found["voiced"]["mustard"]["gb"]
    assert heard["clips"] == 2 and heard["chance"] == 0.5 and 0 <= heard["adapter"] <= 1
    card = (folder / "README.md").read_text()
    assert "{" not in card and "speech-a" in card and "en-us+m1" in card
    assert trained[0].plan(trained[1], "train_adapter").jobs == set()


def test_a_study_hears_with_it_and_types_into_its_text_llm(trained: tuple[Checkout, Config]) -> None:
    checkout, study = trained
    source = {"kind": "path", "path": f"{ROOT}/adapters/v/model"}
    model = {"role": "speech-llm", "licence": "none", "source": source, "base": "speech-a"}
    # Little of it: nothing was learned in four steps, and a model that answers all alike is refused.
    for name, scale in (("v-0", 0.0), ("v", 0.01)):
        study["definitions"]["models"][name] = model | {"scale": scale}
        study["definitions"]["systems"][f"with-{name}"] = {"kind": "e2e", "model": name}
    study["definitions"]["systems"]["own-v"] = {"kind": "cascade", "asr": "whisper-a", "llm": "v"}
    study |= {"systems": ["heard", "with-v-0", "with-v", "own-v"], "tasks": ["mustard", "sst2"], "noise": {}}
    # It is opened like any other speech LLM.
    study["mechanism"] = {
        "models": ["v"],
        "layers": {"v": [0, 1]},
        "states": {"tasks": ["sst2"], "device": "cpu"},
        "probes": {"shuffles": 2, "folds": 2, "ctc": {"epochs": 3}},
        "erasure": {"tasks": ["sst2"], "per_task": 4, "concepts": ["acoustic"], "seeds": 2},
    }
    study["speech"] = {"voices": ["us"], "prosody_voices": ["gb"]}
    study["pairs"] = [{"system": "with-v", "reference": "own-v", "label": "own weights"}]
    done = checkout.run(study)
    assert done.returncode == 0, done.stdout
    answers = {
        name: (checkout.root / ROOT / "answers" / name / "mustard" / "clean.parquet") for name in ("heard", "with-v-0")
    }
    import polars as pl

    one, other = (pl.read_parquet(path).sort("id", "voice")["raw"].to_list() for path in answers.values())
    # At scale nought it is its base.
    assert one == other
