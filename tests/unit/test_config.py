"""A config is right, or the message says what cannot work and what to write instead."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from study_config import BASE, FILES, MODEL, REGISTRIES, ROOT, STUDIES, changed, lines_of, one_line

from cascade_equivalence.conditions import condition_name, parse_condition
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.study import Definitions
from cascade_equivalence.errors import StudyError


def rate(voice: Any) -> int:
    """Words a minute, of a voice that has them."""
    return voice.rate


def test_there_are_studies_and_registries() -> None:
    assert {"demo.yaml", "config.yaml"} <= set(STUDIES)
    assert {"models.yaml", "systems.yaml", "voices.yaml", "tasks.yaml"} <= set(REGISTRIES)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_the_project_loads(name: str) -> None:
    study = load_study(FILES[name], ROOT)
    assert study.tasks == FILES[name]["tasks"]
    assert all(system in study.definitions.systems for system in study.systems)


@pytest.mark.parametrize("name", REGISTRIES)
def test_every_registry_file_is_valid(name: str) -> None:
    assert any(Definitions.model_validate(FILES[name]).model_dump().values())


def test_later_definitions_win(tmp_path: Path) -> None:
    own = {"us": {"provider": "espeak", "rate": 99}, "new": {"provider": "hibari"}}
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"voices": {"us": {"provider": "espeak", "rate": 88}}}))
    registry = [*(str(ROOT / path) for path in BASE["registry"]), "more.yaml"]
    before = load_study(BASE, ROOT).definitions
    after = load_study(changed(registry=registry), tmp_path).definitions
    assert rate(before.voices["us"]) != rate(after.voices["us"]) == 88
    assert after.voices["gb"] == before.voices["gb"]
    raw = changed(registry=registry, definitions__voices=own, definitions__models={})
    voices = load_study(raw, tmp_path).definitions.voices
    assert (rate(voices["us"]), voices["new"].provider) == (99, "hibari")
    assert load_study(raw, tmp_path).definitions.models == before.models


def test_the_given_config_is_not_changed() -> None:
    raw = changed(definitions__voices={"new": {"provider": "hibari"}})
    before = copy.deepcopy(raw)
    load_study(raw, ROOT)
    assert raw == before


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.floats(-60, 60).map(lambda x: round(x, 9)) | st.integers(-20, 40), min_size=1, max_size=4, unique_by=float
    )
)
def test_any_ratio_is_a_condition(ratios: list[float]) -> None:
    study = load_study(changed(noise__snr_db=ratios), ROOT)
    assert study.noise.snr_db == ratios
    assert [parse_condition(condition_name(ratio)).snr_db for ratio in study.noise.snr_db] == ratios


@pytest.mark.parametrize(
    ("places", "key", "wrong", "meant"),
    [
        ({"tasks": ["sst2", "sst3"], "noise__tasks": ["sst2"]}, "tasks.1", "sst3", "sst2"),
        ({"systems": [*BASE["systems"], "base-smollm"]}, "systems", "base-smollm", "base-smollm2"),
        ({"speech__voices": ["heart", "us", "gb", "hearts"]}, "speech.voices", "hearts", "heart"),
        ({"speech__prosody_voices": ["us", "us-femal"]}, "speech.prosody_voices", "us-femal", "us-female"),
        ({"transcribe__engine": "faster_whisper"}, "transcribe.engine", "faster_whisper", "faster-whisper"),
        ({"transcribe__dtype": "bf16"}, "transcribe.dtype", "bf16", "bfloat16"),
        ({"transcribe__dtype": "fast"}, "transcribe.dtype", "fast", None),
        ({"answer__mode": "generat"}, "answer.mode", "generat", "generate"),
        ({"items__source": "publish"}, "items.source", "publish", "published"),
        ({"noise__tasks": ["sst"]}, "noise.tasks.0", "sst", "sst2"),
        (
            {"statistics__family_excludes": ["tiny-smolm2~base-smollm2"]},
            "statistics.family_excludes",
            "tiny-smolm2~base-smollm2",
            "tiny-smollm2~base-smollm2",
        ),
        (
            {"statistics__family_apart": {"pairs": ["tiny-smolm2~base-smollm2"]}},
            "statistics.family_apart.pairs",
            "tiny-smolm2~base-smollm2",
            "tiny-smollm2~base-smollm2",
        ),
        ({"surplus__asr": "whisper-bas", "surplus__tasks": ["sst2"]}, "surplus.asr", "whisper-bas", "whisper-base"),
        ({"surplus__voices": ["hart"], "surplus__tasks": ["sst2"]}, "surplus.voices", "hart", "heart"),
        ({"paper__systems": {"base-smolm2": {"name": "Cascade-S"}}}, "paper.systems", "base-smolm2", "base-smollm2"),
        ({"noise__systems": ["base-smolm2"]}, "noise.systems", "base-smolm2", "base-smollm2"),
        ({"items__per_task": {"sst3": 5}}, "items.per_task.sst3", "sst3", "sst2"),
        ({"definitions__tasks": {"meldd": {"prompt": "{speech}"}}}, "definitions.tasks.meldd", "meldd", "meld"),
        ({"definitions__voices": {"v": {"provider": "espeek"}}}, "definitions.voices.v.provider", "espeek", "espeak"),
        (
            {"definitions__models": {"m": MODEL | {"source": {"kind": "wheels"}}}},
            "definitions.models.m.source.kind",
            "wheels",
            "wheel",
        ),
        (
            {
                "definitions__systems": {
                    "tiny-smollm2": {"kind": "cascade", "asr": "whisper-basis", "llm": "gemma-3-270m"}
                }
            },
            "systems.tiny-smollm2.asr",
            "whisper-basis",
            "whisper-base",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_misspelt_name_is_told_with_the_right_one(
    places: dict[str, Any], key: str, wrong: str, meant: str | None
) -> None:
    line = one_line(changed(**places))
    assert line.startswith(f"{key}: ")
    assert repr(wrong) in line
    assert (f"did you mean {meant!r}?" if meant else " - known: auto, ") in line


def test_a_pair_needs_two_systems_of_the_study() -> None:
    pair = {"system": "tiny-smollm2", "reference": "base-smollm2", "label": "x"}
    unknown = one_line(changed(pairs=[pair, pair | {"reference": "base-smollm3"}]))
    assert unknown.startswith("pairs.1.reference: ") and "'base-smollm3'" in unknown and "'base-smollm2'" in unknown
    # Defined, but not selected.
    unselected = one_line(changed(pairs=[pair | {"system": "tiny-gemma"}]))
    assert unselected.startswith("pairs.0.system: ") and "'tiny-gemma'" in unselected
    itself = one_line(changed(pairs=[pair | {"system": "base-smollm2"}]))
    assert itself.startswith("pairs.0") and "base-smollm2" in itself


@pytest.mark.parametrize("role", ["asr", "llm"])
def test_a_system_needs_models_of_the_right_role(role: str) -> None:
    system = {"kind": "cascade", "asr": "whisper-base", "llm": "gemma-3-270m"}
    wrong = system["llm" if role == "asr" else "asr"]
    line = one_line(changed(definitions__systems={"base-gemma": system | {role: wrong}}))
    assert line.startswith(f"systems.base-gemma.{role}: {wrong!r} is a model of role")


@pytest.mark.parametrize(
    ("places", "key"),
    [
        ({"tasks": [*BASE["tasks"], "sst2"]}, "tasks: 'sst2'"),
        ({"systems": [*BASE["systems"], "base-gemma"]}, "systems: 'base-gemma'"),
        ({"pairs": [*BASE["pairs"], BASE["pairs"][0] | {"label": "again"}]}, "pairs: 'tiny-smollm2 ~ base-smollm2'"),
        ({"speech__voices": ["heart", "us", "gb", "us"]}, "speech.voices: 'us'"),
        ({"speech__prosody_voices": ["us", "us"]}, "speech.prosody_voices: 'us'"),
        ({"noise__snr_db": [10, 0, 10.0]}, "noise.snr_db: '10.0'"),
        ({"noise__snr_db": [0.0, -0.0]}, "noise.snr_db: '0.0'"),
        ({"noise__voices": ["heart", "heart"]}, "noise.voices: 'heart'"),
        ({"noise__tasks": ["sst2", "sst2"]}, "noise.tasks: 'sst2'"),
        ({"noise__babble_voices": ["us", "us"]}, "noise.babble_voices: 'us'"),
        ({"noise__systems": ["base-smollm2", "base-smollm2"]}, "noise.systems: 'base-smollm2'"),
        ({"registry": [*BASE["registry"], BASE["registry"][0]]}, "registry: 'config/models.yaml'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_listed_twice_is_named(places: dict[str, Any], key: str) -> None:
    assert one_line(changed(**places)) == f"{key} is listed twice"


# -- what cannot work -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "start"),
    [
        ({"surplus": {"pitch_low": 400, "pitch_high": 65}}, "surplus: pitch_low must be below pitch_high"),
        (
            {"paper": {"systems": {"base-smollm2": {"name": "Cascade-S", "stands_in": False}}}},
            "paper.systems.base-smollm2.stands_in: the demo's items are not the paper's",
        ),
        ({"noise__voices": ["us-female"]}, "noise.voices: there is no spoken voice 'us-female'"),
        ({"noise__babble_voices": ["nobody"]}, "noise.babble_voices: there is no voice 'nobody'"),
        ({"noise__voices": []}, "noise: snr_db is set, so name the `voices`"),
        ({"noise__snr_db": [10, float("inf")]}, "noise.snr_db.1: "),
        ({"noise__music_snr_db": [float("nan")]}, "noise.music_snr_db.0: "),
        ({"noise__stationary_snr_db": [1e300]}, "noise.stationary_snr_db.0: "),
        ({"noise__snr_db": ["loud"]}, "noise.snr_db.0: "),
        ({"noise__babble_voices": ["heart"]}, "noise.babble_voices: nobody is left to babble behind 'heart'"),
        (
            {"noise__tasks": ["meld"], "noise__voices": ["us"], "noise__babble_voices": ["heart"]},
            "noise.babble_voices: heart cannot speak the demo's items of meld",
        ),
        ({"noise__tasks": ["meld"]}, "noise.voices: heart cannot speak the demo's items of meld"),
        ({"speech__prosody_voices": ["heart"]}, "speech.prosody_voices: 'heart' is of provider 'hibari'"),
        ({"speech__prosody_voices": []}, "speech.prosody_voices: the demo's items of meld and mustard need voices"),
        (
            {"items__max_words": {"sst2": 5}, "tasks": ["sst2", "meld"], "noise__tasks": ["sst2"]},
            "items.max_words: there is no number for meld",
        ),
        (
            {"items__per_task": {"sst2": 5}, "tasks": ["sst2", "meld"], "noise__tasks": ["sst2"]},
            "items.per_task: there is no number for meld",
        ),
        ({"items__per_task": -1}, "items.per_task: Input should be greater than 0 (got -1)"),
        ({"items__per_task": "many"}, "items.per_task: Input should be a valid integer"),
        ({"items__per_task": [1]}, "items.per_task: Input should be a valid integer"),
        ({"answer__mode": "forced_choice"}, "answer.mode: forced_choice needs labels to choose from; trivia_qa has"),
        (
            {"transcribe__engine": "openai-whisper", "transcribe__dtype": "int8"},
            "transcribe.dtype: openai-whisper has no int8",
        ),
        (
            {"definitions__tasks": {"sst2": {"prompt": "no slot"}}},
            "tasks.sst2: The prompt of sst2 must hold `{speech}`",
        ),
        ({"tasks": None}, "tasks: missing; give it a value"),
        ({"speech": {}}, "speech.voices: missing; give it a value"),
        ({"systems": []}, "systems: "),
        ({"systems": ["two words"]}, "systems.0: "),
        ({"registry": "config/models.yaml"}, "registry: Input should be a valid list"),
        ({"registry": [5]}, "registry.0: "),
        ({"definitions": [1]}, "definitions: "),
        ({"definitions__voices": [1]}, "definitions.voices: "),
        ({"definitions__voices": {"v": {"name": "x"}}}, "definitions.voices.v.provider: missing; give it a value"),
        ({"statistics__confidence": 95}, "statistics.confidence: Input should be less than 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_work_is_told(places: dict[str, Any], start: str) -> None:
    assert one_line(changed(**places)).startswith(start)


def test_a_babble_of_other_recordings_needs_no_voice() -> None:
    assert load_study(changed(noise__babble_voices=["heart"], noise__folder="talkers"), ROOT).noise.folder


def test_prosody_matters_only_where_the_items_need_it() -> None:
    tasks = ["sst2", "ag_news"]
    assert load_study(changed(tasks=tasks, noise__tasks=tasks, speech__prosody_voices=[]), ROOT).tasks == tasks


def test_several_problems_are_told_at_once() -> None:
    schema_problems = changed(items__seeds=1, transcribe__engine="x", systems=None, noise__talkers=0)
    assert len(lines_of(schema_problems)) == 4
    name_problems = changed(systems=["a"], speech__voices=["b"], noise__snr_db=[1, 1], items__per_task={"sst2": 1})
    keys = {line.partition(":")[0] for line in lines_of(name_problems)}
    assert {"systems", "speech.voices", "noise.snr_db", "items.per_task", "pairs.0.system"} <= keys


@pytest.mark.parametrize("raw", [None, [], "tasks: [sst2]", 5])
def test_a_config_that_is_no_mapping(raw: Any) -> None:
    assert "must hold keys such as" in one_line(raw)


def test_a_long_value_is_cut() -> None:
    assert len(one_line(changed(speech__max_seconds="x" * 5000))) < 300


# -- registry files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"registry: .*r\.yaml does not exist"),
        (b"voices: {us: [}", r"r\.yaml is not valid YAML"),
        (b"voices: \xff\xfe", r"r\.yaml is not valid YAML"),
        (b"- voices", r"r\.yaml must hold keys such as models, systems, voices, tasks"),
        (
            b"voices:\n  us: {provider: espeak}\n  gb: {provider: espeak}\n  us: {provider: hibari}\n",
            "'us' is defined twice",
        ),
        (b"voices: {us: {provider: espeak, rate: 1, rate: 2}}", "'rate' is defined twice"),
        (b"voices: !!python/object/apply:os.getcwd []", r"r\.yaml is not valid YAML"),
    ],
)
def test_a_broken_registry_file_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "r.yaml").write_bytes(content)
    with pytest.raises(StudyError, match=message):
        load_study(changed(registry=["r.yaml"]), tmp_path)


def test_empty_sections_and_anchors_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "some.yaml").write_text(
        "models:\nvoices:\n  new: &base {provider: espeak, rate: 100}\n  other: {<<: *base, rate: 120}\n"
    )
    registry = [*(str(ROOT / path) for path in BASE["registry"]), "empty.yaml", "some.yaml"]
    voices = load_study(changed(registry=registry), tmp_path).definitions.voices
    assert (rate(voices["new"]), rate(voices["other"])) == (100, 120)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("audio_model", "gemma-3-270m"),
        ("audio_model", "whisper-bas"),
        ("text_model", "whisper-base"),
        ("evaluation_voices", ["harts"]),
        ("evaluation_voices", ["us", "us"]),
    ],
)
def test_what_a_connector_names_must_be_there(part: str, value: object) -> None:
    connectors = copy.deepcopy(FILES["connectors.yaml"]["connectors"])
    load_study(changed(definitions={"connectors": connectors}, connectors=["mini"]), ROOT)
    connectors["mini"][part] = value
    line = one_line(changed(definitions={"connectors": connectors}, connectors=["mini"]))
    assert line.startswith(f"connectors.mini.{part}: ")


@pytest.mark.parametrize("name", ["oracle", "logs"])
def test_a_name_that_stands_for_something_else_is_refused(name: str) -> None:
    assert one_line(changed(definitions__models={name: MODEL})).startswith(f"definitions.models.{name}: ")


# -- adapters ---------------------------------------------------------------------------------------------------------


def adapters(**entry: Any) -> dict[str, Any]:
    """A study with an adapter, and the speech LLM that it changes."""
    folder = {"kind": "path", "path": "{resources}/mini-voice"}
    given = {"role": "speech-llm", "licence": "x", "source": folder, "base": "mini-speech-llm"}
    system = {"kind": "e2e", "model": "adapter"}
    return changed(
        definitions__models={"adapter": {**given, **entry}}, definitions__systems={"s": system}, systems=["s"], pairs=[]
    )


def test_an_adapter_hears_and_is_asked_for_transcripts_as_its_base() -> None:
    models = load_study(adapters(), ROOT).definitions.models
    base = models["mini-speech-llm"]
    assert models["adapter"].audio_model == base.audio_model is not None
    assert models["adapter"].transcription == base.transcription is not None
    text = models[str(base.text_model)]
    assert models["adapter"].text_model is None
    assert (models["adapter"].blocks, models["adapter"].chat) == (text.blocks, text.chat)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"base": "smollm2-135m-instruct"}, r"models\.adapter\.base: .*role 'llm'"),
        ({"base": "nobody"}, r"models\.adapter\.base: there is no model"),
        ({"base": "mini-voice"}, r"models\.adapter\.base: .*speak through"),
        ({"text_model": "smollm2-135m-instruct"}, r"models\.adapter\.text_model: leave it out"),
        ({"role": "llm"}, r"models\.adapter\.base: only a speech LLM"),
        ({"base": None, "scale": 0.5}, r"models\.adapter\.scale: only an adapter"),
        ({"scale": -1}, r"models\.adapter\.scale"),
    ],
)
def test_an_adapter_that_cannot_be_is_told_in_one_line(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        load_study(adapters(**entry), ROOT)
