"""What has the right type and no sense: `check` tells each fault once, with the file and the key."""

import copy
import json
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from study_config import BASE, FILES, MODEL, ROOT, changed

from cascade_equivalence.config.model_files import CODE_SUFFIXES, PICKLE_SUFFIXES, REFUSED_SUFFIXES
from cascade_equivalence.models import engines

Command = Callable[..., int]

BAD_NAMES = [
    *(".", "..", "", " ", "../x", "/etc/x", "a/../x", "./x", "a//x", "x/", "a\\x", "a\0x", "a\nx", "x" * 300),
    *("\u00e9" * 200, "manifest.json", "sub/.manifest.json", "model.py", "sub/MODEL.PY"),
    *("libx.so.1.2", "pytorch_model.bin"),
    *(f"x{suffix}" for suffix in sorted(REFUSED_SUFFIXES)),
]  # fmt: skip
GOOD_NAMES = [
    "config.json",
    "model.bin",
    "sub/model.bin",
    "model-00001-of-00002.safetensors",
    "a.b.gguf",
    "py",
    "vocab",
]
BAD_PATTERNS = [
    "*.py",
    "*.p[yt]",
    "*.PY",
    "*.so*",
    "*py",
    "pytorch_model*.bin",
    "*.bin",
    "model*.bin",
    "sub/*.pkl",
    "modeling_*.py",
    *BAD_NAMES[:14],
]
GOOD_PATTERNS = [
    "*",
    "*.*",
    "model.bin",
    "model*",
    "*.safetensors",
    "*.json",
    "sub/*.model",
    "model.[bs]*",
    "tokenizer*",
]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def check(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """What `check` says is wrong with a content, a line a problem; none if it is good."""

    def run(content: Any, *words: str, name: str = "file.json") -> list[str]:
        path = tmp_path / name
        path.write_text(json.dumps(content))
        code = command("check", path, *words)
        out, err = capsys.readouterr()
        assert (code, bool(out), bool(err)) in ((0, True, False), (1, False, True)), err
        assert "Traceback" not in err and (not err or str(path) in err)
        lines = [line.strip() for line in err.splitlines()]
        return lines[1:] or lines

    return run


def wheel(files: Any, **changes: Any) -> dict[str, Any]:
    wheels = [{"name": "n", "version": "1", "sha256": "0" * 64}]
    source = {"kind": "wheel", "wheels": wheels, "files": files}
    return {"models": {"m": {"role": "llm", "licence": "MIT", "source": source, **changes}}}


def hub(files: Any, **changes: Any) -> dict[str, Any]:
    source = {"kind": "hub", "repo": "a/b", "revision": "main", "files": files}
    return {"models": {"m": {"role": "llm", "licence": "MIT", "source": source, **changes}}}


def test_a_registry_names_no_code_and_nothing_outside_the_folder(check: Callable[..., list[str]]) -> None:
    for name in BAD_NAMES:
        (line,) = check(wheel({name: ["member"]}))
        assert "models.m.source.files" in line and line.isprintable(), name
        (line,) = check(wheel({"a.gguf": ["member"]}, gguf=name))
        assert "models.m.gguf" in line and line.isprintable(), name
    for pattern in BAD_PATTERNS:
        (line,) = check(hub(["config.json", pattern]))
        assert "models.m.source.files.1" in line, pattern


def test_other_files_of_a_registry_are_taken(check: Callable[..., list[str]]) -> None:
    assert {".py", ".so"} <= CODE_SUFFIXES and {".pkl", ".bin"} <= PICKLE_SUFFIXES
    assert check(wheel({name: ["a/member.py"] for name in GOOD_NAMES}, gguf="a.b.gguf")) == []
    for pattern in GOOD_PATTERNS:
        assert check(hub([pattern])) == [], pattern
    assert check(hub(["*.gguf"], gguf="sub/a.gguf")) == []


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (wheel({}), "models.m.source.files"),
        (wheel({"a": []}), "models.m.source.files.a"),
        (wheel({"a": [""]}), "models.m.source.files.a.0"),
        (wheel({"a": ["x\n"]}), "models.m.source.files.a.0"),
        (wheel({"config.json": ["x"], "config.json/x": ["x"]}), "models.m.source.files"),
        (wheel({"a": ["x"], "a/b/c": ["x"]}), "models.m.source.files"),
        (wheel({"a.gguf": ["x"]}, gguf="b.gguf"), "models.m.gguf"),
        (hub([]), "models.m.source.files"),
        (hub(["*.json"], gguf="b.gguf"), "models.m.gguf"),
        ({"models": {"m": {**MODEL, "gguf": "../../x"}}}, "models.m.gguf"),
        ({"models": {"m": {**MODEL, "gguf": "a/x.gguf"}}}, "models.m.gguf"),
        ({"models": {"m": {**MODEL, "text_model": "/nope"}}}, "models.m.text_model"),
        ({"models": {"m": {**MODEL, "audio_model": "../x"}}}, "models.m.audio_model"),
        *(({"models": {name: MODEL}}, f"models.{name}") for name in ("oracle", "logs", "/nope", "../x", "a/b")),
        ({"models": {"m": {**MODEL, "transcription": {"prompt": "no sound"}}}}, "models.m.transcription.prompt"),
        ({"tasks": {"sst2": {"prompt": "{speech}", "max_new_tokens": 10**9}}}, "tasks.sst2.max_new_tokens"),
        ({"models": None, "voices": [1]}, "voices"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_registry_alone_is_told(content: Any, key: str, check: Callable[..., list[str]]) -> None:
    (line,) = check(content)
    assert f": {key}: " in line


def test_an_empty_section_makes_a_registry(check: Callable[..., list[str]]) -> None:
    for content in ({"models": None}, {"voices": None, "tasks": None}, {"models": None, "systems": {}}):
        assert check(content) == []


def connector(place: str, value: Any) -> dict[str, Any]:
    """The shipped connector with another value in one place."""
    whole = copy.deepcopy(FILES["connectors.yaml"])
    *above, last = place.split(".")
    section = whole["connectors"]["mini"]
    for key in above:
        section = section[int(key)] if key.isdecimal() else section.setdefault(key, {})
    section[last] = value
    return dict(whole)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("heads", 7),
        ("heads", 512),
        ("texts.sources.0.encoding", "no-such-encoding"),
        ("texts.sources.0.encoding", "rot13"),
        ("texts.sources.0.encoding", ""),
        ("texts.min_words", 27),
        ("transcription.prompt", "Repeat it."),
        ("transcription.prompt", "{speech} {speech}"),
        ("distil.tasks", ["no_such_task"]),
        ("audio_model", "/nope"),
    ],
)
def test_a_connector_that_cannot_be_trained_is_told(place: str, value: Any, check: Callable[..., list[str]]) -> None:
    (line,) = check(connector(place, value))
    assert f"connectors.mini.{place}" in line


def test_a_connector_s_tasks_have_prompts(check: Callable[..., list[str]]) -> None:
    study = changed(connectors=["mini"], definitions=connector("distil", {"tasks": []}))
    (line,) = check(study)
    assert "connectors.mini.distil.tasks" in line
    registry = [name for name in BASE["registry"] if "tasks" not in name]
    tasks = {"sst2": FILES["tasks.yaml"]["tasks"]["sst2"]}
    small = changed(registry=registry, tasks=["sst2"], noise__tasks=["sst2"], connectors=["mini"])
    small["speech"].pop("prosody_voices")
    small["definitions"] = connector("distil", {"tasks": ["ag_news"]}) | {"tasks": tasks}
    (line,) = check(small)
    assert "connectors.mini.distil.tasks" in line and "ag_news" in line


PAIR = {"system": "tiny-smollm2", "reference": "base-smollm2", "label": "x"}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        *(({"results": f"results/{name}"}, "results") for name in ("a*", "a?", "[a]", "x{y}", "{system}")),
        ({"models_folder": "m*"}, "models_folder"),
        ({"items__sets_folder": "m[0-9]"}, "items.sets_folder"),
        *(
            ({"results": name}, "results")
            for name in ("/etc", "/etc/x", "/tmp/../etc", "/usr/lib/x", "/proc/self", "/dev")
        ),
        ({"models_folder": "/bin"}, "models_folder"),
        ({"results": "a/b", "models_folder": "a/b"}, "models_folder"),
        ({"results": "a/b", "models_folder": "a/c/../b"}, "models_folder"),
        ({"results": "a/b", "models_folder": "a"}, "results"),
        ({"items__sets_folder": "results/models/x"}, "items.sets_folder"),
        ({"items__sets_folder": "results"}, "items.sets_folder"),
        *(({"statistics__draws": count}, "statistics.draws") for count in (0, 1, 39, 10**15)),
        ({"statistics__draws": 199, "statistics__confidence": 0.99}, "statistics.draws"),
        ({"transcribe__max_new_tokens": 10**9}, "transcribe.max_new_tokens"),
        ({"noise__talkers": 10**9}, "noise.talkers"),
        ({"noise__max_talkers": 10**9}, "noise.max_talkers"),
        ({"surplus__permutations": 10**15}, "surplus.permutations"),
        ({"pairs": [PAIR | {"label": ""}]}, "pairs.0.label"),
        ({"pairs": [PAIR | {"label": " "}]}, "pairs.0.label"),
        ({"pairs": [PAIR, PAIR | {"system": "base-smollm2", "reference": "tiny-smollm2"}]}, "pairs.1"),
        ({"noise": {"voices": ["heart"], "tasks": ["sst2"]}}, "noise.voices"),
        ({"noise": {"systems": ["tiny-smollm2"]}}, "noise.systems"),
        ({"items__folder": "sets"}, "items.folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_study_that_makes_no_sense_is_told_once(
    changes: dict[str, Any], key: str, check: Callable[..., list[str]]
) -> None:
    for words in ((), ("--elsewhere",)):
        (line,) = check(changed(**changes), *words)
        assert f"{key}: " in line


@pytest.mark.parametrize(
    "changes",
    [
        {"results": "/dev/shm/x", "models_folder": "/usr/local/x"},
        {"results": "results", "models_folder": "results/models"},
        {"statistics__draws": 40},
        {"statistics__draws": 200, "statistics__confidence": 0.99},
        {"noise": {"voices": ["heart"], "tasks": ["sst2"], "snr_db": []}},
        {"pairs": [PAIR, {"system": "base-gemma", "reference": "tiny-smollm2", "label": "y"}]},
    ],
)
def test_a_study_that_makes_sense_is_taken(changes: dict[str, Any], check: Callable[..., list[str]]) -> None:
    assert check(changed(**changes), "--elsewhere") == []


@pytest.mark.parametrize("entry", ["config", "https://127.0.0.1:9/models.yaml", "hf://a/models.yaml"])
def test_a_registry_that_is_no_file_is_told_for_what_it_is(entry: str, check: Callable[..., list[str]]) -> None:
    (line,) = check(changed(registry=[entry]))
    assert f"registry: {entry} " in line and "exist" not in line


def test_a_folder_that_is_not_to_be_written_to_is_told(
    tmp_path: Path, check: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The root user of a container may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    (line,) = check(changed(results=str(tmp_path / "x" / "y")))
    assert line.startswith("results: ") and str(tmp_path) in line


def test_a_study_whose_engine_is_missing_is_named(
    check: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(engines, "version", missing)
    (line,) = check(changed(answer__engine="vllm"))
    assert "answer.engine" in line and "file.json" in line


OPENED = {"models": ["mini-speech-llm"], "layers": {"mini-speech-llm": [0]}}


@pytest.mark.parametrize(
    ("mechanism", "key"),
    [
        ({"models": ["mini-speech-lm"], "layers": {"mini-speech-lm": [0]}}, "mechanism.models"),
        ({"models": ["mini-speech-lm"], "layers": {"mini-speech-llm": [0]}}, "mechanism.models"),
        ({**OPENED, "layers": {"mini-speech-lm": [0]}}, "mechanism.layers"),
        ({**OPENED, "probes": {"upsample": {"mini-speech-lm": 2}}}, "mechanism.probes.upsample"),
        ({**OPENED, "states": {"voices": ["nobody"]}}, "mechanism.states.voices"),
        ({**OPENED, "states": {"voices": ["us-female"]}}, "mechanism.states.voices"),
        ({**OPENED, "erasure": {"voice": "nobody"}}, "mechanism.erasure.voice"),
        ({**OPENED, "erasure": {"seeds": 10**15}}, "mechanism.erasure.seeds"),
    ],
)
def test_one_fault_of_the_mechanism_is_one_line(mechanism: Any, key: str, check: Callable[..., list[str]]) -> None:
    assert check(changed(mechanism=OPENED)) == []
    (line,) = check(changed(mechanism=mechanism))
    assert line.startswith(f"{key}: ") or f" {key}: " in line
