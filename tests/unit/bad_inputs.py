"""Bad studies and registries by kind: every key of the types with every value that its schema refuses."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema
import yaml

from cascade_equivalence.config import schema

Place = tuple[str | int, ...]

REGISTRY: dict[str, Any] = yaml.safe_load(
    """
models:
  ear: {role: asr, licence: MIT, blocks: 4, billions: 0.1, source: {kind: hub, repo: a/b, revision: main, files: [x]}}
  words:
    role: llm
    licence: MIT
    blocks: 4
    chat: true
    gguf: a.gguf
    published_as: a/b
    source: {kind: wheel, wheels: [{name: n, version: "1", sha256: "SHA"}], files: {a.gguf: [b]}}
  hears:
    role: speech-llm
    licence: MIT
    text_model: words
    audio_model: ear
    transcription: {prompt: "{speech}", answer_prefix: x, max_new_tokens: 9}
    source: {kind: hub, repo: a/b, revision: main, gated: false}
systems:
  first: {kind: cascade, asr: ear, llm: words}
  second: {kind: cascade, asr: oracle, llm: words}
  heard: {kind: e2e, model: hears}
  shown: {kind: implicit, model: hears}
  theirs: {kind: imported, answers: {sst2: theirs.csv}, columns: {id: doc}, format: table, model: M}
  asked:
    {kind: api, provider: openai, model: m, base_url: "http://localhost:1/v1", key_env: "", seed: 1, timeout: 2.0}
voices:
  neural: {provider: hibari, name: heart, speed: 1.0, seed: 0}
  plain: {provider: espeak, name: en-us, rate: 150, pitch: 50, range: 50, volume: 100}
  far: {provider: edge, name: en-US-JennyNeural, rate: "+0%", connections: 2, attempts: 3, pause: 5.0, timeout: 9.0}
  own: {provider: recordings, folder: data/own, pattern: "{id}.{ext}"}
tasks:
  sst2: {prompt: "{speech}", label_words: {positive: good}, answer_prefix: It is, max_new_tokens: 6}
""".replace("SHA", "0" * 64)
)
STUDY: dict[str, Any] = yaml.safe_load("""
results: results/bad
models_folder: results/models
tasks: [sst2]
items: {source: demo, sets_folder: results/sets, complete: true, per_task: 4, max_words: 60, seed: 0}
speech: {voices: [neural, plain], prosody_voices: [], max_seconds: 30.0}
noise: {snr_db: [10], stationary_snr_db: [5.5], reverb_rt60_ms: [300], voices: [neural], tasks: [sst2],
        systems: [first], babble_voices: [plain], talkers: 2, max_talkers: 3, seed: 1}
systems: [first, second, heard, shown]
pairs: [{system: first, reference: second, label: ears}]
contrasts: [{system: heard, first: first, second: second, label: confound}]
transcribe: {engine: hybrid, dtype: auto, device: cpu, batch_size: 2, max_new_tokens: 9}
answer: {mode: generate, engine: transformers, system_prompt: x, dtype: auto, device: cpu, batch_size: 2}
api: {budget: {calls: 3, money: 1.5}, offline: true}
statistics: {draws: 100, confidence: 0.9, seed: 1, family_excludes: [first~second]}
surplus: {tasks: [sst2], asr: ear, voices: [neural], per_task: 3, folds: 3, permutations: 2, seed: 1}
mechanism:
  models: [hears]
  layers: {hears: [0, 1]}
  states: {tasks: [sst2], per_task: 2, positions: audio, batch_size: 2, device: cpu, seed: 1}
  probes: {test_share: 0.2, penalties: [1.0], folds: 3, upsample: {hears: 2}, ctc: {epochs: 2, learning_rate: 0.1}}
  erasure: {tasks: [sst2], voice: neural}
""") | {"definitions": REGISTRY}

NAN, INF = math.nan, math.inf
VALUES: tuple[Any, ...] = (
    None, True, [True], "", "no such word", "a/b", "../up", "x" * 300, "a\nb", "a\0b", "{system}", "-dash", ".dot", "é",
    -1, 0, 1.5, 10**30, -(10**30), 1e300, NAN, INF, -INF, [NAN], [None], [], [[]], ["no such word", 1], {},
    {"surprise": 1}, {"": 1}, {"a b": {}}, [{}],
)  # fmt: skip
"""What is tried on every key, wherever its schema refuses it."""
PATHS: tuple[str, ...] = (
    "", " ", "~", "~/x", "~root/x", "$HOME/x", "${HOME}/x", "a/{x}", "{results}", "a\nb", "a\0b", "a\tb", "x" * 300,
    "a/" * 600,
)  # fmt: skip
"""What no path can be, whatever its schema says."""
WRITTEN: tuple[str, ...] = (
    "/",
    ".",
    "src",
    "src/x",
    "workflow",
    "config",
    "tests/results",
    "{project}/x",
    "Makefile",
    ".git",
    "/etc",
    "/usr/lib/x",
    "results/a*",
    "results/[a]",
)
"""What no folder can be that a study writes to."""
NAMES: tuple[str, ...] = (
    "",
    "a b",
    "a/b",
    "..",
    ".a",
    "-a",
    "a~b",
    "a{b}",
    "a\nb",
    "a\0b",
    "é",
    "a+lens",
    "a" * 65,
    "a" * 300,
)
"""What no name of the user's can be."""


@dataclass(frozen=True)
class Bad:
    """One bad file.

    Attributes:
        kind: What was done to it.
        key: Key that the message must name.
        content: The file's content.
    """

    kind: str
    key: str
    content: Any


def bad_studies() -> Iterator[Bad]:
    """Every bad study."""
    yield from _refused(STUDY, schema.json_schema())
    for place, _ in _places(STUDY):
        if place and place[-1] in ("results", "models_folder", "sets_folder"):
            yield from _put(STUDY, place, WRITTEN, "a folder that holds something else")
    yield Bad("a reserved name", "oracle", _with(STUDY, ("definitions", "models", "oracle"), REGISTRY["models"]["ear"]))
    yield Bad("a cycle", "text_model", _with(STUDY, ("definitions", "models", "hears", "text_model"), "hears"))
    for key in ("systems", "pairs", "speech", "noise", "transcribe", "mechanism"):
        yield Bad("a misspelt key", f"{key}x", {f"{key}x" if k == key else k: v for k, v in STUDY.items()})


def bad_registries() -> Iterator[Bad]:
    """Every bad registry."""
    yield from _refused(REGISTRY, schema.registry_schema())


def _refused(whole: dict[str, Any], rules: dict[str, Any]) -> Iterator[Bad]:
    names = (("models",), ("systems",), ("voices",))
    for place, node in _places(whole):
        section, open_rules = place[:1] == ("definitions",), _rules_at(rules, place)
        if isinstance(node, dict):
            if (place[1:] if section else place) in names:
                for name in NAMES:
                    any_of = next(iter(node.values()))
                    yield Bad("a bad name", str(place[-1]), _with(whole, (*place, name), any_of))
            if open_rules is not None and open_rules.get("additionalProperties") is False:
                yield Bad("an unknown key", "surprise", _with(whole, (*place, "surprise"), 1))
        if not place or open_rules is None:
            continue
        checker = jsonschema.Draft202012Validator(open_rules | {"$defs": rules["$defs"]})
        # A section of definitions, or all of them, may be left empty.
        empty = place == ("definitions",) or open_rules.get("type") == ["object", "null"]
        worst = [value for value in VALUES if not checker.is_valid(value) and not (empty and value is None)]
        yield from _put(whole, place, worst, "a value of the wrong kind")
        if "path" in _formats(open_rules):
            yield from _put(whole, place, PATHS, "no path")


def _put(whole: dict[str, Any], place: Place, values: Any, kind: str) -> Iterator[Bad]:
    key = next(str(part) for part in reversed(place) if isinstance(part, str))
    for value in values:
        yield Bad(f"{kind}: {'.'.join(map(str, place))} = {ascii(value)[:40]}", key, _with(whole, place, value))


def _with(whole: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    content: Any = copy.deepcopy(whole)
    inner = content
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return dict(content)


def _places(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    yield place, value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(inner, (*place, key))


def _rules_at(rules: dict[str, Any], place: Place) -> dict[str, Any] | None:
    """The part of a schema that a place must keep to; None where that depends on another value."""
    found: dict[str, Any] | None = rules
    for part in place:
        found = _resolve(found, rules) if found is not None else None
        if found is None:
            return None
        if isinstance(part, int):
            found = found.get("items")
        elif part in found.get("properties", {}):
            found = found["properties"][part]
        else:
            more = found.get("additionalProperties") or next(iter(found.get("patternProperties", {}).values()), None)
            found = more if isinstance(more, dict) else None
    return _resolve(found, rules) if found is not None else None


def _resolve(found: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    """A part of a schema with what it refers to; of a section that may be null also that."""
    if "$ref" in found:
        return dict(rules["$defs"][found["$ref"].rpartition("/")[2]])
    for form in found.get("anyOf", []):
        if "$ref" in form:
            return found | {key: value for key, value in _resolve(form, rules).items() if key != "type"}
    return found


def _formats(rules: dict[str, Any]) -> set[str]:
    return {str(form.get("format")) for form in (rules, *rules.get("anyOf", []))}
