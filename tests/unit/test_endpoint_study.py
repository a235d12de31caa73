"""A study whose LLMs and recognisers are behind endpoints: its nodes, estimates, and what is refused."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.read import read_config
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.records import question_key
from cascade_equivalence.models.question import Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.store import Store
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stages.wildcards import answered_by, transcribed_by
from cascade_equivalence.tasks.items import write_items
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.tasks.registry import get_task

REPOSITORY = Path(__file__).resolve().parents[2]
PRICES = {"input_text": 0.3, "input_audio": 0, "output": 2.5}
HERE = {"kind": "endpoint", "base_url": "http://127.0.0.1:8000/v1", "model": "m"}
PAID = {"kind": "endpoint", "base_url": "https://api.openai.com/v1", "model": "gpt"}


def make(
    folder: Path, systems: Sequence[str] = ("far", "near-ear", "near-llm", "true", "unheard"), **changes: Any
) -> Study:
    weights = {"kind": "path", "path": str(folder)}
    named: dict[str, tuple[str, Any]] = {
        "ear": ("asr", weights),
        "llm": ("llm", weights),
        "far-ear": ("asr", HERE | changes.pop("ear", {})),
        "far-llm": ("llm", PAID | changes.pop("llm", {})),
        "speaker": ("speech-llm", weights),
    }
    models = {name: {"role": role, "licence": "none", "source": source} for name, (role, source) in named.items()}
    models["far-llm"] |= changes.pop("entry", {})
    models["speaker"] |= changes.pop("speaker", {})
    made = {
        **{"far": ("far-ear", "far-llm"), "near-ear": ("ear", "far-llm"), "near-llm": ("far-ear", "llm")},
        **{"true": ("oracle", "far-llm"), "unheard": ("prior", "far-llm"), "here": ("ear", "llm")},
        **changes.pop("more", {}),
    }
    raw = {
        "registry": [str(REPOSITORY / "config" / name) for name in ("voices.yaml", "tasks.yaml")],
        "results": str(folder / "results"),
        "tasks": ["sst2"],
        "items": {"source": "demo", "per_task": 6},
        "speech": {"voices": ["us", "gb"]},
        "systems": list(systems),
        "definitions": {
            "models": models,
            "systems": {
                **{name: {"kind": "cascade", "asr": asr, "llm": llm} for name, (asr, llm) in made.items()},
                "spoken": {"kind": "e2e", "model": "speaker"},
            },
        },
    }
    return Study(load_study(raw | changes))


def test_every_node_has_one_rule_and_weights_are_asked_for_where_they_are(tmp_path: Path) -> None:
    study = make(tmp_path)
    for name in study.config.systems:
        rules = [each for each in ("api", "transformers", "vllm") if re.fullmatch(answered_by(study, each), name)]
        assert rules == ["transformers" if name == "near-llm" else "api"]
    for asr in study.asrs:
        rules = [each for each in ("here", "endpoint") if re.fullmatch(transcribed_by(study, each), asr)]
        assert rules == ["endpoint" if asr == "far-ear" else "here"]
    manifests = {Path(path).parent.name for path in stages.resolve.all_manifests(study)}
    assert manifests == {"ear", "llm"}
    assert not make(tmp_path, ["far", "true", "unheard"]).engines()
    assert not stages.resolve.all_manifests(make(tmp_path, ["far", "true", "unheard"]))
    # What an endpoint runs is not known, not even to be the same as itself.
    assert not stages.resolve.pair_manifests(study, "far", "near-ear")


def test_a_node_depends_on_what_is_sent_and_on_nothing_else(tmp_path: Path) -> None:
    before = make(tmp_path)
    limits = {"concurrency": 9, "requests_per_minute": 3, "key_env": "OTHER", "timeout": 3}
    same = make(tmp_path, ear=limits, llm=limits)
    other = make(tmp_path, ear={"language": "de"}, llm={"seed": 7})
    assert stages.api.params(same, "far", "sst2") == stages.api.params(before, "far", "sst2")
    assert stages.api.params(other, "far", "sst2") != stages.api.params(before, "far", "sst2")
    assert stages.transcribe.params(same, "far-ear") == stages.transcribe.params(before, "far-ear")
    assert stages.transcribe.params(other, "far-ear") != stages.transcribe.params(before, "far-ear")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"systems": ["far-ear"], "more": {"far-ear": ("far-ear", "llm")}},
            r"systems\.far-ear: a recogniser that an endpoint runs is called 'far-ear', too",
        ),
        ({"answer": {"mode": "forced_choice"}}, r"answer\.mode: forced_choice.*leave out far, near-ear, true, unheard"),
        ({"llm": {"base_url": "api.openai.com"}}, r"models\.far-llm\.source\.base_url: give scheme"),
        ({"llm": {"key_env": "sk-proj-secret1"}}, r"models\.far-llm\.source\.key_env: this is no name"),
        ({"ear": {"base_url": "https://asr.org/v1"}}, r"models\.far-ear\.source\.key_env: asr\.org is not"),
        ({"ear": {"extra_body": {"language": "en"}}}, r"models\.far-ear\.source\.extra_body: language cannot be set"),
        ({"llm": {"language": "de"}}, r"models\.far-llm\.source\.language: only recognisers"),
        ({"llm": {"prices": {"audio_minute": 1}}}, r"models\.far-llm\.source\.prices: only recognisers"),
        ({"api": {"budget": {"money": 1}}}, r"models\.far-llm\.source\.prices: api\.budget\.money is set"),
        ({"entry": {"chat": False}}, r"models\.far-llm\.chat: an endpoint has no weights"),
        ({"entry": {"role": "asr"}}, r"systems\.far\.llm: 'far-llm' is a model of role 'asr'"),
        ({"mechanism": {"models": ["far-ear"]}}, "mechanism.models: 'far-ear' is run by an endpoint"),
        (
            {"systems": ["spoken"], "speaker": {"source": HERE}},
            r"systems\.spoken\.model: 'speaker' is run by an endpoint, and here its weights are needed",
        ),
        (
            {"systems": ["spoken"], "speaker": {"text_model": "far-llm"}},
            r"models\.speaker\.text_model: 'far-llm' is run by an endpoint",
        ),
        (
            {"statistics": {"repeats": ["batch"], "repeat_systems": ["far"]}},
            "statistics.repeat_systems: 'far' answers elsewhere",
        ),
        (
            {"statistics": {"repeats": ["batch"]}},
            r"statistics\.repeats: far, near-ear, true, unheard answer through an endpoint.*statistics\.repeat_systems",
        ),
        ({"systems": ["far"], "answer": {"engine": "vllm"}}, "answer.engine: vllm runs the text LLMs of cascades, and"),
    ],
)
def test_what_cannot_be_done_through_an_endpoint_is_told_with_the_config(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message) as told:
        make(tmp_path, **changes)
    assert "secret1" not in str(told.value)


def test_repeats_are_of_what_is_here(tmp_path: Path) -> None:
    study = make(tmp_path, statistics={"repeats": ["batch"], "repeat_systems": ["near-llm"]})
    assert {each.system for each in stages.repeat.retests(study)} == {"near-llm"}


def speak(study: Study) -> list[tuple[str, str]]:
    """Items and clips of sst2; item and voice of each clip."""
    items = prepare_items("sst2", study.config.items, RESOURCES, study.sets_folder)[0]
    write_items(items, Path(stages.items.file(study, "sst2")), "sst2", get_task("sst2").labels)
    for voice in study.voices_of("sst2"):
        path = Path(stages.speech.file(study, "sst2", voice))
        path.parent.mkdir(parents=True)
        rows = [{"id": item.id, "sha256": f"{item.id}-{voice}", "seconds": 3.0} for item in items]
        pl.DataFrame(rows).write_parquet(path)
    return [(item.id, voice) for item in items for voice in study.voices_of("sst2")]


def test_an_estimate_goes_from_texts_to_clips_and_transcripts_to_what_is_left(tmp_path: Path) -> None:
    study = make(tmp_path, ["far"], ear={"prices": {"audio_minute": 0.6}}, llm={"prices": PRICES})
    heard, read = stages.api.estimate(study).parts
    assert (heard.system, heard.calls, heard.measured) == ("far-ear", 12, False)
    assert (read.system, read.calls, read.audio_tokens) == ("far", 12, 0) and read.money
    rows = speak(study)
    heard, _ = stages.api.estimate(study).parts
    assert heard.measured and heard.money == pytest.approx(12 * 3 * 0.6 / 60)

    spec = study.recogniser_services["far-ear"]
    with Store(study.store("transcripts", "far-ear", "sst2", "clean.jsonl")) as store:
        for item, voice in rows:
            clip = Question((), "", {}, Recording(f"{item}-{voice}", 3.0, dict))  # type: ignore[arg-type]
            store.add([(question_key(spec, clip, spec.max_output_tokens or 0), {})])
    path = Path(stages.transcribe.file(study, "far-ear", "sst2", "clean"))
    path.parent.mkdir(parents=True)
    pl.DataFrame([{"id": item, "voice": voice, "text": "so it was"} for item, voice in rows]).write_parquet(path)
    heard, read = stages.api.estimate(study).parts
    # Equal transcripts are one question.
    assert (heard.calls, read.questions, read.calls, read.measured) == (0, 12, 1, True)

    task = study.task("sst2")
    turns = build_messages(task, study.config.answer.system_prompt, "so it was", ())
    with Store(study.store("answers", "far", "sst2", "clean.jsonl")) as store:
        store.add([(question_key(study.apis["far"], Question(tuple(turns), "", {}), task.max_new_tokens), {})])
    # The answer prefix adds to the longest answer, and so to the key.
    assert stages.api.estimate(study).calls == 1
    with Store(study.store("answers", "far", "sst2", "clean.jsonl")) as store:
        asked = Question(tuple(turns), task.answer_prefix, {})
        store.add([(question_key(study.apis["far"], asked, task.max_new_tokens), {})])
    assert stages.api.estimate(study).calls == 0
    stages.api.check_keys(study, {})


def test_a_text_that_is_given_is_known_before_it_is_spoken(tmp_path: Path) -> None:
    silent = {"voices": ["us", "gb"], "silence": True}
    parts = stages.api.estimate(make(tmp_path, ["true", "unheard"], speech=silent)).parts
    calls = {(part.system, part.condition): (part.questions, part.calls) for part in parts}
    # Both voices speak one text; over silence, and to the prior, nothing is said.
    assert calls[("true", "clean")] == (12, 6) and calls[("unheard", "clean")] == (12, 1)
    assert calls[("true", "silence")] == calls[("unheard", "silence")] == (6, 1)


def test_a_key_is_asked_for_before_any_job_if_anything_is_left_to_ask(tmp_path: Path) -> None:
    study = make(tmp_path, ["far", "true"])
    with pytest.raises(StudyError, match="OPENAI_API_KEY is not set: put the API key for far, true into"):
        stages.api.check_keys(study, {})
    stages.api.check_keys(study, {"OPENAI_API_KEY": "k"})
    # A recogniser on this machine needs none.
    stages.api.check_keys(make(tmp_path, ["near-llm"]), {})
    with pytest.raises(StudyError, match="EAR_KEY is not set: put the API key for far-ear into"):
        stages.api.check_keys(make(tmp_path, ["near-llm"], ear={"key_env": "EAR_KEY"}), {})


def test_the_examples_are_valid_and_need_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    page = (REPOSITORY / "docs" / "endpoints.md").read_text(encoding="utf-8")
    first, *_ = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    shipped = read_config(REPOSITORY / "config" / "endpoints.yaml")
    assert shipped is not None
    raw = yaml.safe_load(first) | {"systems": list(shipped["systems"]), "pairs": []}
    raw["registry"].append("config/models.yaml")
    study = Study(load_study(raw))
    assert set(study.apis) == set(shipped["systems"]) and not stages.resolve.all_manifests(study)
    assert {spec.key_variable for spec in (*study.apis.values(), *study.recogniser_services.values())} == {
        "",
        "OPENAI_API_KEY",
    }
    assert not Study(load_study(yaml.safe_load(first))).engines()
