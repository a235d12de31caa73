"""Imports the Python files that a study names under `plugins`; what they add is known to that study alone.

A plugin is a file, or a folder with an ``__init__.py``. It is the user's own code and runs wherever the study is read.
"""

import contextlib
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.registry import ALL

PREFIX = "cascade_equivalence_plugin_"
"""How the modules of plugins are called, so that none hides another module."""


_imported: dict[str, dict[int, dict[str, Any]]] = {}
"""What each plugin adds, by its files' contents: of a registry's place among all of them, things by name."""


def use(paths: Sequence[Path]) -> None:
    """Have in the registries what these plugins add, and nothing of others.

    Raises:
        StudyError: A file is no plugin, fails when it is imported, or adds nothing or a name that is taken.
    """
    _drop_all()
    for path in paths:
        try:
            _add(path)
        except StudyError as error:
            _drop_all()
            raise StudyError(f"plugins: {error}") from error


def _drop_all() -> None:
    for registry in ALL:
        registry.drop([*registry.of_plugins(), *registry.of_config()])


def added_files() -> tuple[Path, ...]:
    """Files of all plugins in use, each once."""
    return tuple(dict.fromkeys(file for registry in ALL for file in registry.all_files()))


def fault_of(error: BaseException) -> StudyError | None:
    """What to tell of an error in a plugin's code: its file and line.

    Args:
        error: Any exception.

    Returns:
        The error to show; None where no plugin in use stands between the program and what failed.
    """
    where = _line_in(error, added_files())
    return StudyError(f"{where}: {_said(error)}") if where is not None else None


def find_plugin(entry: Path, places: Sequence[Path]) -> Path:
    """Find a plugin of a config.

    Args:
        entry: The file or folder as the config names it.
        places: Folders to look in; the first that has it wins.

    Returns:
        The file or folder: relative where it lies below the working folder.

    Raises:
        StudyError: None of the places has it.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(entry)):
        raise StudyError(f"plugins: {entry} is an address; download it, read it, and name the file")
    tried = list(dict.fromkeys(place / entry for place in places))
    found = next((path for path in tried if path.exists()), None)
    if found is None:
        raise StudyError(f"plugins: {entry} does not exist (looked for {', '.join(map(str, tried))})")
    whole, here = found.resolve(), Path.cwd().resolve()
    return whole.relative_to(here) if whole.is_relative_to(here) else whole


def files_of(path: Path) -> tuple[Path, ...]:
    """The Python files of a plugin.

    Raises:
        StudyError: It is none.
    """
    if path.is_dir():
        if not (path / "__init__.py").is_file():
            raise StudyError(f"the folder {path} has no __init__.py; name the file that is meant")
        return tuple(sorted(path.rglob("*.py")))
    if path.suffix != ".py":
        raise StudyError(f"{path} is no Python file")
    return (path,)


def _add(path: Path) -> None:
    files = files_of(path)
    try:
        contents = [(str(file.resolve()), file.read_bytes()) for file in files]
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror})") from error
    key = hashlib.sha256(repr(contents).encode()).hexdigest()[:16]
    before = [registry.added() for registry in ALL]
    try:
        if key in _imported:
            for place, things in _imported[key].items():
                for thing in things.values():
                    ALL[place].add(thing)
        else:
            _execute(path, PREFIX + key)
    except StudyError:
        for place in range(len(ALL)):
            ALL[place].drop(_new(place, before))
        raise
    _imported[key] = {place: things for place in range(len(ALL)) if (things := _new(place, before))}
    if not _imported[key]:
        raise StudyError(f"{path} adds nothing to a registry; call one's `add`, such as TASKS.add(...)")
    for place, things in _imported[key].items():
        ALL[place].came_with(things, files)


def _new(place: int, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a registry has more than before; one that a plugin was the first to import had nothing."""
    earlier = before[place] if place < len(before) else {}
    return {name: thing for name, thing in ALL[place].added().items() if name not in earlier}


def _execute(path: Path, name: str) -> None:
    """Import a plugin under a name.

    Raises:
        StudyError: It fails; the message has the line.
    """
    start, within = (path / "__init__.py", [str(path)]) if path.is_dir() else (path, None)
    spec = importlib.util.spec_from_file_location(name, start, submodule_search_locations=within)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # What a command says on standard output is for a reader or, as JSON, for a program.
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        for loaded in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[loaded]
        raise StudyError(_told(path, error)) from error


def _told(path: Path, error: BaseException) -> str:
    """What went wrong in a plugin, and where."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    return f"{_line_in(error, files_of(path)) or path}: {_said(error)}"


def _line_in(error: BaseException, files: Sequence[Path]) -> str | None:
    """The last line of some files that an error came through; None where it came through none."""
    names = {str(file.resolve()): file for file in files}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if (file := names.get(str(Path(frame.filename).resolve()))) is not None:
            return f"{file}, line {frame.lineno}"
    return None


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, StudyError) else f"{type(error).__name__}: {error}"
