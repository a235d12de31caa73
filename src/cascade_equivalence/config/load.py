"""Read a config, merge the registry files, check every name; one clear message when something is wrong."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from cascade_equivalence.config.study import Definitions, StudyConfig, TaskName
from cascade_equivalence.errors import StudyError

SECTIONS = ("models", "systems", "voices", "tasks")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the closest known one, or all known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" - did you mean {close[0]!r}?"
    return f" - known: {', '.join(names)}" if names else " - none is defined"


def _known_keys(model: type[BaseModel], location: tuple[Any, ...]) -> set[str]:
    """Keys allowed beside the unknown key at ``location``."""
    classes: list[Any] = [model]
    for part in location[:-1]:
        following: list[Any] = []
        for cls in classes:
            field = cls.model_fields.get(str(part)) if isinstance(cls, type) and issubclass(cls, BaseModel) else None
            following += _models_in(field.annotation, field.metadata) if field else [cls]
        classes = following
    return {name for cls in classes for name in cls.model_fields}


def _models_in(annotation: Any, metadata: Any = ()) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Turn a validation error into lines that name each key and say what to do."""
    lines = []
    for problem in error.errors():
        location = problem["loc"]
        key = ".".join(str(part) for part in location)
        if problem["type"] == "extra_forbidden":
            hint = did_you_mean(str(location[-1]), _known_keys(model, location))
            lines.append(f"{key}: unknown key{hint}")
        elif problem["type"] == "literal_error":
            given = problem["input"]
            allowed = [word.strip("' ") for word in problem["ctx"]["expected"].replace(" or ", ", ").split(",")]
            lines.append(f"{key}: {given!r} is not possible{did_you_mean(str(given), allowed)}")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing; give it a value")
        else:
            lines.append(f"{key}: {problem['msg']} (got {problem['input']!r})")
    return f"{where} is not valid:\n" + "\n".join(f"  {line}" for line in lines)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise StudyError(f"registry: {path} does not exist; it is named in the config's `registry`")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path} must hold keys such as {', '.join(SECTIONS)}")
    return content


def load_study(raw: Mapping[str, Any], root: Path = Path()) -> StudyConfig:
    """Check a config and fill in what its registry files define.

    Args:
        raw: The config as Snakemake merged it, or as read from YAML.
        root: Folder that relative registry paths start from.

    Returns:
        The study, with every definition it can name under ``definitions``.

    Raises:
        StudyError: With one line for each thing that is wrong.
    """
    merged: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for entry in raw.get("registry", []):
        path = root / entry
        content = _read_yaml(path)
        try:
            Definitions.model_validate(content)
        except ValidationError as error:
            raise StudyError(explain(error, Definitions, str(path))) from error
        for section, definitions in content.items():
            merged[section] |= definitions or {}
    own = raw.get("definitions") or {}
    for section in SECTIONS:
        merged[section] |= (own.get(section) or {}) if isinstance(own, Mapping) else {}
    unknown = set(own) - set(SECTIONS) if isinstance(own, Mapping) else set()
    try:
        study = StudyConfig.model_validate({**raw, "definitions": merged | {key: own[key] for key in unknown}})
    except ValidationError as error:
        raise StudyError(explain(error, StudyConfig, "The config")) from error
    if problems := list(_problems(study)):
        raise StudyError("The config is not valid:\n" + "\n".join(f"  {problem}" for problem in problems))
    return study


def _unknown(key: str, names: Iterable[str], known: Iterable[str], kind: str) -> list[str]:
    known = list(known)
    return [f"{key}: there is no {kind} {name!r}{did_you_mean(name, known)}" for name in names if name not in known]


def _repeated(key: str, names: list[Any]) -> list[str]:
    return [f"{key}: {name!r} is listed twice" for name in sorted(set(names), key=str) if names.count(name) > 1]


def _problems(study: StudyConfig) -> Iterable[str]:
    """Names that lead nowhere, and combinations that cannot work."""
    from cascade_equivalence.tasks.prompts import prompt_problems

    defined = study.definitions
    yield from _unknown("systems", study.systems, defined.systems, "system")
    yield from _unknown("speech.voices", study.speech.voices, defined.voices, "voice")
    yield from _unknown("speech.prosody_voices", study.speech.prosody_voices, defined.voices, "voice")
    yield from _unknown("noise.babble_voices", study.noise.babble_voices, study.speech.voices, "spoken voice")
    yield from _unknown("noise.voices", study.noise.voices, study.speech.voices, "spoken voice")
    yield from _unknown("noise.tasks", study.noise.tasks, study.tasks, "selected task")
    for key, names in (
        ("tasks", list(study.tasks)),
        ("systems", list(study.systems)),
        ("speech.voices", list(study.speech.voices)),
        ("noise.snr_db", list(study.noise.snr_db)),
    ):
        yield from _repeated(key, names)
    for index, pair in enumerate(study.pairs):
        for side in ("system", "reference"):
            name = getattr(pair, side)
            yield from _unknown(f"pairs.{index}.{side}", [name], study.systems, "selected system")
        if pair.system == pair.reference:
            yield f"pairs.{index}: {pair.system!r} is compared with itself"
    for name in study.systems:
        if (system := defined.systems.get(name)) is None:
            continue
        for role, model in (("asr", system.asr), ("llm", system.llm)):
            yield from _unknown(f"systems.{name}.{role}", [model], defined.models, "model")
            if model in defined.models and defined.models[model].role != role:
                yield f"systems.{name}.{role}: {model!r} is a model of role {defined.models[model].role!r}, not {role!r}"
    for task in study.tasks:
        if task not in defined.tasks:
            yield f"tasks: {task!r} has no prompt; define it under `tasks:` in a registry file"
        else:
            yield from (f"tasks.{task}: {problem}" for problem in prompt_problems(task, defined.tasks[task]))
    if study.noise.snr_db and not (study.noise.voices and study.noise.tasks):
        yield "noise: snr_db is set, so name the `voices` and the `tasks` that are heard in noise"
    if study.items.source == "published" and study.items.folder is None:
        yield "items.folder: name the folder of the published sets, or set items.source to demo"
    if study.items.source == "demo" and {"meld", "mustard"} & set(study.tasks):
        if not study.speech.prosody_voices:
            yield "speech.prosody_voices: the demo's meld and mustard items need voices that control prosody"
        for voice in study.speech.prosody_voices:
            if voice in defined.voices and defined.voices[voice].provider != "espeak":
                yield f"speech.prosody_voices: {voice!r} is of provider {defined.voices[voice].provider!r}, which has no prosody"


def task_names() -> tuple[str, ...]:
    """All tasks there are."""
    return tuple(get_args(TaskName))
