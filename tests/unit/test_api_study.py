"""A study with systems behind an API: their nodes, what these depend on, and what they need before they begin."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.records import question_key
from cascade_equivalence.models.question import Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.store import Store
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stages.wildcards import answered_by
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.items import write_items
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

REPOSITORY = Path(__file__).resolve().parents[2]
PRICES = {"input_text": 0.3, "input_audio": 1.0, "output": 2.5}


def make(folder: Path, **changes: Any) -> Study:
    llm = {"role": "llm", "licence": "none", "source": {"kind": "path", "path": str(folder)}}
    raw = {
        "registry": [str(REPOSITORY / "config" / name) for name in ("voices.yaml", "tasks.yaml")],
        "results": str(folder / "results"),
        "tasks": ["sst2", "commonsense_qa"],
        "items": {"source": "demo", "per_task": 6},
        "speech": {"voices": ["us", "gb"]},
        "systems": ["ears", "local", "text"],
        "definitions": {
            "models": {"llm": llm},
            "systems": {
                "ears": {"kind": "api", "provider": "gemini", "model": "gemini-2.5-flash", "prices": PRICES},
                "local": {
                    **{"kind": "api", "provider": "openai", "model": "qwen", "key_env": ""},
                    "base_url": "http://127.0.0.1:8000/v1",
                },
                "text": {"kind": "cascade", "asr": "oracle", "llm": "llm"},
            },
        },
    }
    return Study(load_study(raw | changes))


def test_every_system_has_one_rule(tmp_path: Path) -> None:
    study = make(tmp_path)
    for name in study.config.systems:
        rules = [each for each in ("api", "transformers", "vllm") if re.fullmatch(answered_by(study, each), name)]
        assert rules == ["transformers" if name == "text" else "api"]
    alone = make(tmp_path, systems=["text"])
    assert not re.fullmatch(answered_by(alone, "api"), "text") and not alone.apis


def test_an_api_hears_the_clips_and_has_no_weights(tmp_path: Path) -> None:
    study = make(tmp_path)
    assert stages.answer.heard(study, "ears", "sst2", "clean") == stages.speech.files_of(study, "sst2", "clean")
    assert not stages.resolve.answering_manifests(study, "ears") and not stages.preflight.files_of(study, "ears")
    assert study.asrs == ["oracle"] and stages.resolve.all_manifests(study) == stages.resolve.answering_manifests(
        study, "text"
    )
    # What is behind it is not known, and so no pair's backbones are the same.
    assert not stages.resolve.pair_manifests(study, "ears", "text") and not stages.resolve.pair_manifests(
        study, "ears", "local"
    )
    assert stages.resolve.pair_manifests(study, "text", "text")


def test_a_node_depends_on_what_is_sent_and_on_nothing_else(tmp_path: Path) -> None:
    study = make(tmp_path)
    spec = study.config.definitions.systems["ears"].model_dump()

    def params(**changes: Any) -> dict[str, Any]:
        definitions = study.config.definitions.model_dump(mode="json")
        definitions["systems"]["ears"] = spec | changes
        return stages.api.params(make(tmp_path, definitions=definitions), "ears", "sst2")

    before = stages.api.params(study, "ears", "sst2")
    assert params(concurrency=9, key_env="OTHER", prices=None, requests_per_minute=3) == before
    assert params(seed=7) != before and params(model="gemini-2.5-pro") != before
    assert stages.api.params(study, "ears", "commonsense_qa") != before


def test_a_wrong_system_is_told_with_the_config(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"answer\.mode: forced_choice needs the likelihood"):
        make(tmp_path, answer={"mode": "forced_choice"})
    with pytest.raises(StudyError, match=r"systems\.local\.prices: api\.budget\.money is set"):
        make(tmp_path, api={"budget": {"money": 3}})


def items_of(study: Study) -> list[Item]:
    return prepare_items("sst2", study.config.items, RESOURCES, study.sets_folder)[0]


def speak(study: Study, seconds: float) -> None:
    """Items and clips of sst2, as far as an estimate looks at them."""
    items = items_of(study)
    write_items(items, Path(stages.items.file(study, "sst2")), "sst2", get_task("sst2").labels)
    for voice in study.voices_of("sst2"):
        path = Path(stages.speech.file(study, "sst2", voice))
        path.parent.mkdir(parents=True)
        rows = [{"id": item.id, "sha256": f"{item.id}-{voice}", "seconds": seconds} for item in items]
        pl.DataFrame(rows).write_parquet(path)


def answer(study: Study, system: str) -> None:
    """Answers to sst2 in the store."""
    task = study.task("sst2")
    with Store(study.store("answers", system, "sst2", "clean.jsonl")) as store:
        for item in items_of(study):
            messages = tuple(build_messages(task, study.config.answer.system_prompt, AUDIO_PLACEHOLDER, item.options))
            for voice in study.voices_of("sst2"):
                sound = Recording(f"{item.id}-{voice}", 3.0, dict)  # type: ignore[arg-type]
                asked = Question(messages, task.answer_prefix, {}, sound)
                store.add([(question_key(study.apis[system], asked, task.max_new_tokens), {})])


def test_an_estimate_goes_from_texts_to_clips_to_what_is_left(tmp_path: Path) -> None:
    study = make(tmp_path, systems=["ears"], tasks=["sst2"])
    (guessed,) = stages.api.estimate(study).parts
    assert (guessed.questions, guessed.calls, guessed.measured) == (12, 12, False)
    speak(study, 3.0)
    (known,) = stages.api.estimate(study).parts
    assert (known.calls, known.audio_seconds, known.measured) == (12, 36.0, True)
    assert known.output_tokens == guessed.output_tokens and known.money
    answer(study, "ears")
    assert stages.api.estimate(study).calls == 0


def test_a_key_is_asked_for_before_any_job_if_anything_is_left_to_ask(tmp_path: Path) -> None:
    study = make(tmp_path, tasks=["sst2"])
    with pytest.raises(StudyError, match="GEMINI_API_KEY is not set: put the API key for ears into"):
        stages.api.check_keys(study, {})
    stages.api.check_keys(study, {"GEMINI_API_KEY": "k"})
    stages.api.check_keys(study, {"CASCADE_EQUIVALENCE_OFFLINE": "1"})
    speak(study, 3.0)
    with pytest.raises(StudyError, match="GEMINI_API_KEY"):
        stages.api.check_keys(study, {})
    answer(study, "ears")
    stages.api.check_keys(study, {})
    stages.api.check_keys(make(tmp_path, systems=["local", "text"]), {})
