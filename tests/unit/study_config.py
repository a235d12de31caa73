"""The project's configs, a small study to change, and what is wrong with one."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from cascade_equivalence.config import schema
from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.registry import OneOf

ROOT = Path(__file__).parents[2]
# Written out and read again: what an anchor shares would change in every place.
FILES = {
    path.name: json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))))
    for path in sorted((ROOT / "config").glob("*.yaml"))
}
STUDIES = [name for name, content in FILES.items() if isinstance(content.get("systems"), list)]
REGISTRIES = [name for name in FILES if name not in (*STUDIES, schema.DEFAULTS)]
BASE: dict[str, Any] = yaml.safe_load("""
registry: [config/models.yaml, config/systems.yaml, config/voices.yaml, config/tasks.yaml]
tasks: [ag_news, sst2, commonsense_qa, trivia_qa, meld, mustard]
items: {source: demo, per_task: 16}
speech: {voices: [heart, us, gb], prosody_voices: [us, us-female, gb]}
noise: {snr_db: [10, 0], voices: [heart], tasks: [ag_news, sst2], babble_voices: [us, gb]}
systems: [base-smollm2, tiny-smollm2, base-gemma]
pairs:
  - {system: tiny-smollm2, reference: base-smollm2, label: same LLM}
  - {system: base-gemma, reference: base-smollm2, label: other LLM}
transcribe: {engine: hybrid, device: cpu}
answer: {device: cpu}
""")
MODEL = {"role": "llm", "licence": "MIT", "source": {"kind": "path", "path": "/models/m"}}
WHEELS = {"kind": "wheel", "wheels": [{"name": "n", "version": "1", "sha256": "0" * 64}], "files": {"a": ["b"]}}
HUB = {"kind": "hub", "repo": "a/b", "revision": "main"}


def changed(**places: Any) -> dict[str, Any]:
    """``BASE`` with values put in places such as ``items__per_task``; None takes a key away."""
    raw = copy.deepcopy(BASE)
    for place, value in places.items():
        *above, name = place.split("__")
        section = raw
        for key in above:
            section = section.setdefault(key, {})
        if value is None:
            section.pop(name)
        else:
            section[name] = value
    return raw


def lines_of(raw: Any, root: Path = ROOT) -> list[str]:
    """What is wrong with a config, a line a problem."""
    with pytest.raises(StudyError) as caught:
        load_study(raw, root)
    return [line.strip() for line in str(caught.value).splitlines()[1:]] or [str(caught.value)]


def one_line(raw: Any, root: Path = ROOT) -> str:
    lines = lines_of(raw, root)
    assert len(lines) == 1, lines
    return lines[0]


def sections(model: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> Iterator[type[BaseModel]]:
    """A section and all sections below it."""
    seen = set() if seen is None else seen
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for inner in held(field.rebuild_annotation()):
            yield from sections(inner, seen)


def held(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    # What a registry holds stands for what its sections have in common.
    marks = [each.form for each in get_args(annotation) if isinstance(each, OneOf)]
    return [found for argument in marks or get_args(annotation) for found in held(argument)]
