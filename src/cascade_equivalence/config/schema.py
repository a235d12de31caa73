"""The JSON schemas of studies and registries, for editors, and its defaults with a line on each key, for people."""

import json
from pathlib import Path
from textwrap import wrap
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from cascade_equivalence.config.study import Definitions, StudyConfig
from cascade_equivalence.files import write_text
from cascade_equivalence.registry import NameIn, OneOf

SCHEMA, REGISTRY_SCHEMA, DEFAULTS = "schema.json", "registry.schema.json", "defaults.yaml"
MODELINE = "# yaml-language-server: $schema="
"""How a YAML file begins that tells editors its schema, as a path from the file."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
HEADING = """Every key of a study with its default, written by `cascade-equivalence schema config`. A study gives the
keys marked REQUIRED and those it wants to be different. Behind `#` stands the form of the entries of a list or mapping.
"""
COLUMNS = 120


def json_schema() -> dict[str, Any]:
    """JSON schema of a study's config file."""
    schema = StudyConfig.model_json_schema()
    tasks = schema["properties"]["tasks"]
    # Beside a list of names, names with what they describe.
    entry = {"anyOf": [{"$ref": "#/$defs/TaskSpec"}, {"type": "null"}]}
    described = {"type": "object", "minProperties": 1, "additionalProperties": entry}
    schema["properties"]["tasks"] = {"description": tasks["description"], "anyOf": [tasks, described]}
    return {"$schema": DIALECT} | schema | {"title": "Study of cascade equivalence"}


def registry_schema() -> dict[str, Any]:
    """JSON schema of a registry file; a section may be empty."""
    schema = Definitions.model_json_schema()
    for section in schema["properties"].values():
        section["type"] = ["object", "null"]
    return {"$schema": DIALECT} | schema | {"title": "Registry of cascade equivalence"}


def defaults_yaml() -> str:
    """All keys of a config with their defaults as YAML, each below its description; a required key has no value."""
    return "\n".join([f"{MODELINE}{SCHEMA}", *_comment(HEADING, ""), *_section(StudyConfig, ""), ""])


def is_defaults(path: Path) -> bool:
    """Whether a file is the list of defaults, which is no study: its required keys have no values."""
    return path.read_text(encoding="utf-8") == defaults_yaml()


def write(folder: Path) -> list[Path]:
    """Write the two schemas and ``defaults.yaml`` into a folder.

    Returns:
        The files.
    """
    schemas = {SCHEMA: json_schema(), REGISTRY_SCHEMA: registry_schema()}
    texts = {
        name: json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }
    texts[DEFAULTS] = defaults_yaml()
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in wrap(text, COLUMNS - len(indent) - 2)]


def _section(model: type[BaseModel], indent: str) -> list[str]:
    lines: list[str] = []
    for name, field in model.model_fields.items():
        lines += [""] if not indent else []
        required = "REQUIRED. " if field.is_required() else ""
        lines += _comment(f"{required}{field.description}{_choices(field.annotation)}", indent)
        forms = _sections_in(field.rebuild_annotation())
        if forms == [field.annotation] or isinstance(field.default, BaseModel):
            lines += [f"{indent}{name}:", *_section(forms[0], f"{indent}  ")]
            continue
        words = _words_in(field.annotation)
        value = (words[0] if len(words) == 1 else "") if field.is_required() else _value(field.default)
        lines.append(f"{indent}{name}: {value}".rstrip())
        for form in forms:
            lines += [f"{indent}# {line}" for line in [f"{form.__doc__}".splitlines()[0], *_section(form, "  ")]]
    return lines


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a value is, or holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    # What is marked is only what the sections of the registry have in common.
    marks = [each.form for each in get_args(annotation) if isinstance(each, OneOf)]
    return [section for argument in marks or get_args(annotation) for section in _sections_in(argument)]


def _value(default: Any) -> str:
    """A default on one line."""
    plain = str(default) if isinstance(default, Path) else default
    return yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("...").strip()


def _choices(annotation: Any) -> str:
    """The words a value may be, or hold."""
    words = _words_in(annotation)
    return f" {'Any' if get_origin(annotation) is list else 'One'} of: {', '.join(words)}." if len(words) > 1 else ""


def _words_in(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    if get_origin(annotation) is Annotated:
        return [name for mark in get_args(annotation)[1:] if isinstance(mark, NameIn) for name in mark.registry]
    inner = get_args(annotation) if get_origin(annotation) in (list, Union, UnionType) else ()
    return [word for argument in inner for word in _words_in(argument)]
