"""Merge a config with its registry files and check every name; one clear message when something is wrong."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cascade_equivalence.config.check import problems
from cascade_equivalence.config.engine_choice import with_engine
from cascade_equivalence.config.explain import block, explain
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.read import bound_problem, read_config
from cascade_equivalence.config.study import Definitions, StudyConfig
from cascade_equivalence.config.tasks_run import Tell, left_to_run
from cascade_equivalence.config.unshown import unshown
from cascade_equivalence.errors import StudyError
from cascade_equivalence.plugins import find_plugin, use

SECTIONS = tuple(Definitions.model_fields)


def find_registry(entry: Path, places: Sequence[Path]) -> Path:
    """Find a registry file of a config.

    Args:
        entry: The file as the config names it.
        places: Folders to look in, the first that has it wins; of no use to an absolute path.

    Returns:
        The file.

    Raises:
        StudyError: None of the places has it; the message names them all.
    """
    # A path has lost one of an address's slashes.
    if address := re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", str(entry)):
        raise StudyError(f"registry: {'://'.join(address.groups())} is an address; download it and name the file")
    tried = list(dict.fromkeys(place / entry for place in places))
    for path in tried:
        if path.is_file():
            return path
    if folder := next((path for path in tried if path.is_dir()), None):
        raise StudyError(f"registry: {folder} is a folder; name each YAML file in it that is meant")
    looked = ", ".join(dict.fromkeys(str(path) for path in tried))
    raise StudyError(f"registry: {entry} does not exist; it is named in the config's `registry` (looked for {looked})")


def read_definitions(path: Path) -> dict[str, Any]:
    """Read a registry file; a section without a value is left out.

    Raises:
        StudyError: It cannot be read, or does not hold keys.
    """
    content = read_config(path)
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise StudyError(f"{path} must hold keys such as {', '.join(SECTIONS)}")
    return {section: definitions for section, definitions in content.items() if definitions is not None}


def is_registry(content: Any) -> bool:
    """Whether a file holds definitions: it has a section of a registry, if an empty one, and nothing of a study."""
    if not isinstance(content, Mapping):
        return False
    only_studies = StudyConfig.model_fields.keys() - Definitions.model_fields.keys()
    # A study selects by a list what a registry defines: tasks, systems, connectors.
    selections = [content.get(key) for key in StudyConfig.model_fields.keys() & Definitions.model_fields.keys()]
    if only_studies & content.keys() or any(isinstance(each, list) for each in selections):
        return False
    return any(isinstance(content[section], Mapping | None) for section in SECTIONS if section in content)


def registry_problems(content: Mapping[str, Any], file: str) -> list[str]:
    """What is wrong with the definitions of a registry file, a line a problem."""
    try:
        Definitions.model_validate({section: each for section, each in content.items() if each is not None})
    except ValidationError as error:
        return explain(error, Definitions, file)
    return []


def merge_definitions(contents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Definitions of several registries, by section; a later one of a name wins."""
    defined: dict[str, Any] = {section: {} for section in SECTIONS}
    for content in contents:
        _merge(defined, content)
    return defined


def load_study(
    raw: Mapping[str, Any], root: Path = Path(), places: Sequence[Path] = (), tell: Tell = lambda _: None
) -> StudyConfig:
    """Check a config and fill in what its registry files define.

    Args:
        raw: The config as Snakemake merged it, or as read from YAML.
        root: Folder that relative registry paths start from.
        places: Further folders in which registry files are looked for, one after the other.
        tell: Gets a line on what a valid study does not say: what is left out of it, and what is chosen for it.

    Returns:
        The study, with every definition it can name under ``definitions``.

    Raises:
        StudyError: With one line for each thing that is wrong.
    """
    if not isinstance(raw, Mapping):
        raise StudyError(f"The config must hold keys such as {', '.join(list(StudyConfig.model_fields)[:5])}")
    if (problem := bound_problem(raw)) is not None:
        raise StudyError(f"The config cannot be checked: {problem}")
    raw = _with_plugins(raw, (root, *places))
    lines: list[str] = []
    defined = merge_definitions(())
    searched = (root, *places)
    entries = raw.get("registry")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str | Path):
            path = find_registry(Path(entry), (root, *places))
            content = with_own_tasks(read_definitions(path), (*searched, path.parent))
            if wrong := registry_problems(content, str(path)):
                lines += wrong
            else:
                _merge(defined, content)
    own = raw.get("definitions")
    if isinstance(own, Mapping):
        _merge(defined, with_own_tasks(own, searched))
    elif own is not None:
        defined = own
    raw, described = _named_tasks(raw)
    _merge(defined, with_own_tasks(described, searched))
    _forget_replaced(defined)
    try:
        study = StudyConfig.model_validate({**raw, "definitions": defined})
    except ValidationError as error:
        lines += explain(error, StudyConfig)
    # A definition that was not read would be missed by every name that leads to it.
    said: list[str] = []
    if not lines:
        study = with_engine(left_to_run(study, said.append), said.append)
        idle = study.speech.silence_items is not None and not study.speech.silence
        said += ["`speech.silence_items` says nothing without `speech.silence`"] if idle else []
        lines = list(problems(study))
        said += [] if lines else unshown(study)
    if lines:
        raise StudyError(block("The config is not valid:", lines))
    _describe_as_read(study)
    for line in said:
        tell(line)
    return study


def _describe_as_read(study: StudyConfig) -> None:
    """Have the tasks of the user's own as the types have read them: they make words what they stand for."""
    for name, spec in study.definitions.tasks.items():
        if spec.is_own:
            TASKS.describe(name, spec.model_dump())


def _forget_replaced(defined: Any) -> None:
    """Drop tasks of the user's own whose entry a later one has replaced that names neither file nor data set."""
    tasks = defined.get("tasks") if isinstance(defined, Mapping) else None
    known = tasks if isinstance(tasks, Mapping) else {}
    TASKS.drop(
        name
        for name in TASKS.of_config()
        if not isinstance(entry := known.get(name), Mapping) or not (entry.get("items") or entry.get("dataset"))
    )


def with_own_tasks(content: Mapping[str, Any], places: Sequence[Path]) -> Mapping[str, Any]:
    """Definitions whose tasks of the user's own are in the registry, with the files where they were found.

    Args:
        content: Definitions, by section, which need not be valid.
        places: Folders in which the tasks' files are looked for; the first that has one wins.

    Raises:
        StudyError: A task has a name that cannot be its.
    """
    tasks = content.get("tasks")
    if not isinstance(tasks, Mapping):
        return content
    found = dict(tasks)
    for name, entry in tasks.items():
        if not isinstance(entry, Mapping):
            continue
        if isinstance(entry.get("items"), str | Path):
            tried = [place / entry["items"] for place in places]
            file = next((path for path in tried if path.is_file()), Path(entry["items"]))
            found[name] = {**entry, "items": file}
        elif not isinstance(entry.get("dataset"), Mapping):
            continue
        try:
            TASKS.describe(name, found[name])
        except StudyError as error:
            raise StudyError(f"tasks.{name}: {error}") from error
    return {**content, "tasks": found}


def _named_tasks(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A study whose tasks are a list, and the definitions of those that it described in place."""
    tasks = raw.get("tasks")
    if not isinstance(tasks, Mapping):
        return raw, {}
    described = {name: entry for name, entry in tasks.items() if entry is not None}
    return {**raw, "tasks": list(tasks)}, {"tasks": described}


def _with_plugins(raw: Mapping[str, Any], places: Sequence[Path]) -> Mapping[str, Any]:
    """Import a config's plugins, before any of its names is looked at, and say where they were found."""
    entries = raw.get("plugins")
    named = isinstance(entries, list) and all(isinstance(entry, str | Path) for entry in entries)
    # What is no list of files is left for the types to refuse.
    found = [find_plugin(Path(entry), places) for entry in entries] if entries and named else []
    use(found)
    return {**raw, "plugins": found} if found else raw


def _merge(defined: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add definitions; a later one of a name wins. What is no mapping is left for the types to refuse."""
    for section, definitions in more.items():
        if section in SECTIONS and isinstance(definitions, Mapping):
            defined[section] = {**defined[section], **definitions}
        elif section not in SECTIONS or definitions is not None:
            defined[section] = definitions
