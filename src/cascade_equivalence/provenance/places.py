"""Names of files that mean the same on every machine; records hold these in place of paths."""

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.provenance.record import Place
from cascade_equivalence.resources import REPOSITORY

ELSEWHERE = "elsewhere"


def _absolute(path: Path) -> Path:
    # Links are not followed: results on a scratch disk are still called results.
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`


class Places:
    """The folders that the files of a study are named from.

    Args:
        config: The study.
        project: The folder that Snakemake runs in.
    """

    def __init__(self, config: StudyConfig, project: Path = Path()) -> None:
        roots: list[tuple[Place, Path]] = [
            ("results", config.results),
            ("models", config.models_folder),
            ("sets", config.items.sets_folder),
            ("project", project),
            ("project", REPOSITORY),
        ]
        found = [(place, _absolute(project / root)) for place, root in roots]
        # The innermost folder that holds a file is its own.
        self._roots = sorted(found, key=lambda root: len(root[1].parts), reverse=True)

    def name(self, path: Path) -> tuple[Place, str]:
        """Name a file.

        Returns:
            Its place, and its path from there; of a file in none of them only the last part.
        """
        absolute = _absolute(path)
        for place, root in self._roots:
            if absolute.is_relative_to(root):
                return place, absolute.relative_to(root).as_posix()
        return "elsewhere", absolute.name

    def base(self, log: Path) -> Path | None:
        """The folder whose ``logs`` hold a log: results, models or sets."""
        for place, root in self._roots:
            if place != "project" and _absolute(log).is_relative_to(root / "logs"):
                return root
        return None

    def portable(self, value: Any) -> Any:
        """A parameter as JSON, without paths of the machine: they become ``place/path``.

        Text is taken for a path if it is absolute and there is such a file or folder.
        """
        if isinstance(value, Mapping):
            return {str(key): self.portable(each) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.portable(each) for each in (sorted(value) if isinstance(value, set | frozenset) else value)]
        if isinstance(value, PurePath):
            return self._named(Path(value)) if value.is_absolute() else value.as_posix()
        if isinstance(value, str):
            return self._named(Path(value)) if _is_path(value) else value
        return value if isinstance(value, bool | int | float | None) else str(value)

    def _named(self, path: Path) -> str:
        place, name = self.name(path)
        return f"{place}/{name}"


def _is_path(text: str) -> bool:
    """Whether text is the absolute path of something; `/no_think` and the like are none."""
    try:
        return Path(text).is_absolute() and Path(text).exists()
    except (OSError, ValueError):
        return False


def folders_of(results: Path, config: Mapping[str, Any]) -> dict[str, Path]:
    """Where the folders of a study lie, seen from its results.

    Args:
        results: The results folder, wherever it lies now.
        config: The recorded config.

    Returns:
        Place to folder: the results always; the project, models and sets where the config's relative paths lead to
        folders that exist.
    """
    found = {"results": results}
    own = PurePath(str(config.get("results", "")))
    whole = _absolute(results)
    if own.parts and not own.is_absolute() and whole.parts[-len(own.parts) :] == own.parts:
        project = Path(*whole.parts[: -len(own.parts)])
        items = config.get("items") or {}
        paths = {"project": ".", "models": config.get("models_folder"), "sets": items.get("sets_folder")}
        for place, path in paths.items():
            if isinstance(path, str) and not Path(path).is_absolute() and (project / path).is_dir():
                found[place] = project / path
    return found
