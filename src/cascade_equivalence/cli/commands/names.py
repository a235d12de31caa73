"""List what a study can name."""

import argparse
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_equivalence.cli.parser import Commands, add_command, add_json

if TYPE_CHECKING:
    from cascade_equivalence.config.study import Definitions


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "list", run)
    parser.add_argument("kind", choices=tuple(_KINDS), help="what to list")
    parser.add_argument(
        "config", type=Path, nargs="?", help="a study's config: what its registries define (default: what is shipped)"
    )
    add_json(parser, "print names and what they are as JSON")


def run(arguments: argparse.Namespace) -> int:
    """List what a study can name, each with what it is: systems, models, voices, tasks, concepts, or noises."""
    found = _KINDS[arguments.kind](_definitions(arguments.config))
    if arguments.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    width = max(map(len, found), default=0)
    for name, text in found.items():
        print(f"{name:{width}}  {text}")
    return 0


def _definitions(config: Path | None) -> "Definitions":
    from cascade_equivalence.cli.study import read_study
    from cascade_equivalence.config.load import is_registry, merge_definitions, read_definitions
    from cascade_equivalence.config.study import Definitions
    from cascade_equivalence.resources import SHIPPED

    if config is not None:
        return read_study(config).config.definitions
    files = [path for path in sorted((SHIPPED / "config").glob("*.yaml")) if is_registry(read_definitions(path))]
    return Definitions.model_validate(merge_definitions(map(read_definitions, files)))


def _systems(defined: "Definitions") -> dict[str, str]:
    from cascade_equivalence.config.api import ApiSpec
    from cascade_equivalence.config.imported import ImportedSpec
    from cascade_equivalence.config.study import Typed

    found = {}
    for name, system in defined.systems.items():
        if isinstance(system, Typed):
            found[name] = f"{system.kind}: {system.asr} -> {system.llm}"
        elif isinstance(system, ApiSpec):
            found[name] = f"api: {system.model} by {system.provider}"
        elif isinstance(system, ImportedSpec):
            found[name] = f"imported: {system.model}, {', '.join(system.answers)}"
        else:
            found[name] = f"{system.kind}: {system.model}"
    return found


def _models(defined: "Definitions") -> dict[str, str]:
    from cascade_equivalence.config.endpoints import EndpointSource
    from cascade_equivalence.config.sources import DegradedSource

    found = {}
    for name, model in defined.models.items():
        inside = f", speaks through {model.text_model}" if model.text_model else ""
        size = f"{model.billions:g} billion parameters, " if model.billions else ""
        source = model.source
        origin = f"run by {source.base_url}" if isinstance(source, EndpointSource) else f"from a {source.kind}"
        origin = f"{model.licence}, {origin}"
        # It has no weights to license.
        if isinstance(source, DegradedSource):
            origin = f"{source.asr} with as many word errors as {source.reference}"
        found[name] = f"{model.role}: {size}{origin}{inside}"
    return found


def _voices(defined: "Definitions") -> dict[str, str]:
    of_all = {"provider", "name", "folder"}
    return {
        name: " ".join(f"{value}" for key, value in voice.model_dump(mode="json").items() if key in of_all)
        for name, voice in defined.voices.items()
    }


def _tasks(defined: "Definitions") -> dict[str, str]:
    from cascade_equivalence.tasks.registry import TASKS

    asked = set(map(str, defined.tasks))
    found = {name: (inspect.getdoc(type(task)) or name).splitlines()[0] for name, task in TASKS.items()}
    return {name: text if name in asked else f"{text} (no prompt is defined)" for name, text in found.items()}


def _concepts(_: "Definitions") -> dict[str, str]:
    from cascade_equivalence.config.names import CONCEPTS

    return {name: concept.about for name, concept in CONCEPTS.items()}


def _noises(_: "Definitions") -> dict[str, str]:
    from cascade_equivalence.conditions import NOISE_KINDS

    return {
        name: f"{kind.example[0]} is {kind.example[1]}; levels ({kind.scale.word}) under noise.{kind.levels_key}"
        for name, kind in NOISE_KINDS.items()
    }


_KINDS: Mapping[str, Callable[["Definitions"], dict[str, str]]] = {
    "systems": _systems,
    "models": _models,
    "voices": _voices,
    "tasks": _tasks,
    "concepts": _concepts,
    "noises": _noises,
}
