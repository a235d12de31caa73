"""Checks of a study's folders that types cannot make, such as two that overlap or one that cannot be written."""

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path, PurePosixPath

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.config.spoken import all_voices
from cascade_equivalence.config.study import Elsewhere, StudyConfig, Typed
from cascade_equivalence.errors import StudyError

SOURCES = ("src", "workflow", "config", "tests", "docs", "profiles", "requirements", ".git")
"""Folders of a project that are written by people, where results would be lost among them."""
DEPLOYED = ("config", "workflow", ".git")
"""Those of a folder that the workflow was deployed to."""
SYSTEM = tuple(f"/{name}" for name in ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "usr"))
"""Folders of the operating system."""
SHARED = ("/dev/shm", "/usr/local")  # noqa: S108
"""Those in them where people keep files of their own."""
RECORDINGS = "recordings"
"""Folder below `items.sets_folder` that recordings of published sets are unpacked into."""

Locate = Callable[[PathSource], Path]


def folder_problems(study: StudyConfig) -> Iterator[str]:
    """Say what is wrong with the folders a study writes to, on any machine; one line a problem."""
    written = _written(study)
    for key, folder in written.items():
        # These are parts of the patterns of files.
        if signs := sorted(set("{}*?[]") & set(str(folder))):
            yield f"{key}: {str(folder)!r} has {' '.join(signs)}; name a folder without these signs of patterns"
        elif _of_the_system(folder):
            yield f"{key}: {str(folder)!r} belongs to the operating system; name a folder such as results/study"
        elif not folder.name:
            kind = "the root of the disk" if folder.is_absolute() else "the working folder itself"
            yield f"{key}: {str(folder)!r} is {kind}; name a folder below it, such as {folder / 'results'}"

    yield from _overlaps(written)


def _overlaps(written: Mapping[str, Path]) -> Iterator[str]:
    """Folders of a study whose files would lie among those of another one."""
    whole = {key: PurePosixPath(os.path.normpath(Path.cwd() / folder)) for key, folder in written.items()}
    for (key, folder), (other_key, other) in combinations(whole.items(), 2):
        if folder == other:
            yield f"{other_key}: {written[other_key]} is {key}, too; name a folder of its own"
    # Every folder in it is a model.
    for key in ("results", "items.sets_folder"):
        if whole["models_folder"] in whole[key].parents:
            yield f"{key}: {written[key]} lies in models_folder ({written['models_folder']}); name a folder outside it"


def _of_the_system(folder: Path) -> bool:
    whole = PurePosixPath(os.path.normpath(folder))
    return any(map(whole.is_relative_to, SYSTEM)) and not any(map(whole.is_relative_to, SHARED))


def place_problems(study: StudyConfig, project: Path, locate: Locate) -> Iterator[str]:
    """Say which folders of a study are missing on this machine, or not to be written to; one line a problem.

    Args:
        study: A study whose sections are each valid.
        project: The project's own folder.
        locate: Finds a model's folder, or raises ``StudyError``.
    """
    yield from _write_problems(study, project)
    items, noise, voices = study.items, study.noise, study.definitions.voices
    yield from _item_problems(study)
    own = {f"noise.kinds.{name}.folder": added.folder for name, added in noise.kinds.items()}
    for key, folder in {"noise.folder": noise.folder, **own}.items():
        if folder is not None and not folder.is_dir():
            yield _missing(key, folder)
    for name in all_voices(study):
        voice = voices[name]
        # The recordings of a published set are unpacked before they are needed.
        fetched = items.source == "published" or any(TASKS[task].dataset is not None for task in study.tasks)
        unpacked = fetched and items.sets_folder / RECORDINGS
        if isinstance(voice, RecordingsVoice) and voice.folder != unpacked and not voice.folder.is_dir():
            yield _missing(f"voices.{name}.folder", voice.folder)
    for name in _models(study):
        source = study.definitions.models[name].source
        if isinstance(source, PathSource):
            try:
                folder = locate(source)
                if (gguf := study.definitions.models[name].gguf) and not (folder / gguf).is_file():
                    yield f"models.{name}.gguf: {folder} has no file {gguf}"
            except StudyError as error:
                yield f"models.{name}.source.path: {error}"


def _item_problems(study: StudyConfig) -> Iterator[str]:
    items = study.items
    if items.source == "published" and items.folder is not None:
        if not items.folder.is_dir():
            yield _missing("items.folder", items.folder)
        else:
            yield from (
                _missing("items.folder", items.folder / task)
                for task in study.tasks
                if task not in TASKS.of_config() and not (items.folder / task).is_dir()
            )
    for task in study.tasks:
        if (fault := TASKS[task].fault(items.sets_folder)) is not None:
            yield f"tasks.{task}.{'items' if TASKS[task].file else 'dataset'}: {fault}"
    for task in study.tasks if items.source == "demo" else ():
        beside = TASKS[task].beside
        if beside is not None and not (file := beside / "items" / f"{task}.jsonl").is_file():
            yield f"items.source: {task} is a plugin's, and its own items are missing: there is no file {file}"


def _written(study: StudyConfig) -> dict[str, Path]:
    return {
        "results": study.results,
        "models_folder": study.models_folder,
        "items.sets_folder": study.items.sets_folder,
    }


def _write_problems(study: StudyConfig, project: Path) -> Iterator[str]:
    for key, folder in _written(study).items():
        whole = folder.resolve()
        for root in dict.fromkeys((project.resolve(), Path.cwd())):
            own = [root / name for name in (SOURCES if root == project.resolve() else DEPLOYED)]
            if whole == root or root.is_relative_to(whole):
                yield f"{key}: {folder} holds the project itself; name a folder of its own, such as results/study"
                break
            if any(whole.is_relative_to(source) for source in own):
                yield f"{key}: {folder} lies among the project's sources; name another folder, such as results/study"
                break
        else:
            above = _first_existing(whole)
            if above and not above.is_dir():
                yield f"{key}: {above} is a file; name a folder"
            elif above and not os.access(above, os.W_OK | os.X_OK):
                yield f"{key}: {above} is not to be written to; name another folder, or ask its owner"


def _first_existing(path: Path) -> Path | None:
    return next((each for each in (path, *path.parents) if each.exists()), None)


def _models(study: StudyConfig) -> list[str]:
    """Models whose weights a study needs, those that they name included."""
    names: list[str | None] = list(study.mechanism.models) if study.mechanism else []
    names += [study.surplus.asr] if study.surplus.tasks else []
    if study.mechanism and study.mechanism.attributions:
        names.append(study.mechanism.attributions.timing)
    for system in (study.definitions.systems[name] for name in study.systems):
        if isinstance(system, Typed):
            names += [system.asr, system.llm]
        elif not isinstance(system, Elsewhere):
            names.append(system.model)
    known = study.definitions.models
    found = dict.fromkeys(name for name in names if name in known)
    inner = [part for name in found for part in (known[name].text_model, known[name].audio_model)]
    return [name for name in dict.fromkeys([*found, *inner]) if name in known]


def _missing(key: str, folder: Path) -> str:
    return f"{key}: there is no folder {folder} (looked for {folder.resolve()})"
