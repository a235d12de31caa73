"""The written schema and defaults are those of the types."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel
from study_config import BASE, FILES, REGISTRIES, ROOT, lines_of, sections

from cascade_equivalence.config import schema
from cascade_equivalence.config.study import StudyConfig


@pytest.mark.parametrize("section", list(sections(StudyConfig)), ids=lambda section: section.__name__)
def test_every_key_is_described_and_every_section_closed(section: type[BaseModel]) -> None:
    assert section.__doc__
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"
        assert field.description.endswith((".", "`"))
    assert section.model_config["extra"] == "forbid"
    assert section.model_config["frozen"]


@pytest.mark.parametrize("name", [schema.SCHEMA, schema.REGISTRY_SCHEMA, schema.DEFAULTS])
def test_the_written_files_are_those_the_code_would_write(name: str, tmp_path: Path) -> None:
    schema.write(tmp_path)
    written = (ROOT / "config" / name).read_bytes()
    assert written == (tmp_path / name).read_bytes(), "run `cascade-equivalence schema config`"


REQUIRED = {"tasks": ["sst2"], "systems": ["s"], "speech": {"voices": ["v"]}}


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_project_names_its_schema_and_keeps_to_it(name: str) -> None:
    first = (ROOT / "config" / name).read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(schema.MODELINE)
    named = ROOT / "config" / first.removeprefix(schema.MODELINE)
    assert named.name == (schema.REGISTRY_SCHEMA if name in REGISTRIES else schema.SCHEMA)
    rules = json.loads(named.read_bytes())
    jsonschema.Draft202012Validator.check_schema(rules)
    content = FILES[name] | (REQUIRED if name == schema.DEFAULTS else {})
    jsonschema.validate(content, rules, cls=jsonschema.Draft202012Validator)


def test_the_schema_of_registries_refuses_what_the_types_refuse() -> None:
    rules = jsonschema.Draft202012Validator(schema.registry_schema())
    assert rules.is_valid({"voices": None, "models": {}})
    for wrong in ({"voice": {}}, {"voices": {"v": {"provider": "espeak", "pich": 1}}}, {"voices": []}, []):
        assert not rules.is_valid(wrong)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda raw: raw.pop("tasks"),
        lambda raw: raw.update(task=[]),
        lambda raw: raw["items"].update(max_word=3),
        lambda raw: raw["tasks"].append("3 tasks"),
        lambda raw: raw["transcribe"].update(engine="x"),
        lambda raw: raw["noise"].update(talkers=0),
        lambda raw: raw["items"].update(per_task=True),
        lambda raw: raw["noise"].update(snr_db=[True]),
        lambda raw: raw["noise"].update(snr_db=[1e300]),
        lambda raw: raw["systems"].append("a" * 300),
        lambda raw: raw.update(definitions={"voices": {"v": {"provider": "espeak", "pich": 1}}}),
    ],
)
def test_the_schema_refuses_what_the_types_refuse(break_it: Callable[[dict[str, Any]], object]) -> None:
    raw = copy.deepcopy(BASE)
    break_it(raw)
    assert not jsonschema.Draft202012Validator(schema.json_schema()).is_valid(raw)
    lines_of(raw)


def test_the_written_defaults_are_the_defaults() -> None:
    written = yaml.safe_load(schema.defaults_yaml())
    required = {"tasks": ["sst2"], "systems": ["s"]}
    # Models stay closed, and nothing stands beside the paper's, unless a study says so.
    assert {key for key, value in written.items() if value is None} == {*required, "mechanism", "paper"}
    assert written["speech"]["voices"] is None
    speech = written["speech"] | {"voices": ["v"]}
    short = StudyConfig.model_validate(required | {"speech": {"voices": ["v"]}})
    assert StudyConfig.model_validate(written | required | {"speech": speech}) == short
    assert json.loads(short.model_dump_json()) == written | required | {"speech": speech}


def test_the_written_defaults_describe_every_key() -> None:
    text = " ".join(line.strip(" #") for line in schema.defaults_yaml().splitlines())
    for section in sections(StudyConfig):
        for name, field in section.model_fields.items():
            assert f" {name}:" in text
            assert " ".join(str(field.description).split()) in text
