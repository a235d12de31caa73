"""Reads what commands are given: a study's config, or the folder of its results."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    from cascade_equivalence.config.statistics import StatisticsConfig
    from cascade_equivalence.config.tasks_run import Tell
    from cascade_equivalence.stages.study import Study


def read_study(path: Path) -> "Study":
    """Read and check a study's config file.

    Raises:
        StudyError: The file is missing, is not YAML, or is not a valid config.
    """
    from cascade_equivalence.config.read import read_config

    return study_of(read_config(path), path)


def study_of(raw: Any, path: Path, tell: "Tell" = lambda _: None) -> "Study":
    """Check what a config file holds.

    Args:
        raw: What it holds.
        path: The file.
        tell: Gets a line on what is left out of the study, where something is.

    Raises:
        StudyError: It is not a valid config; the message begins with the file.
    """
    from cascade_equivalence.config.load import load_study
    from cascade_equivalence.jobs.start import registry_places
    from cascade_equivalence.stages.study import Study

    if raw is None:
        raise StudyError(f"{path} is empty: a study needs `tasks`, `systems` and `speech`")
    try:
        return Study(load_study(raw, places=registry_places([path]), tell=tell))
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error


def results_of(path: Path) -> Path:
    """The folder of a study's results.

    Args:
        path: The folder itself, or the study's config.
    """
    return read_study(path).config.results if path.is_file() else path


def recorded_statistics(results: Path) -> "StatisticsConfig":
    """How a folder of results was judged, as the config in its records has it: level of intervals, discovery rate.

    Raises:
        StudyError: There is no such record.
    """
    from cascade_equivalence.config.statistics import StatisticsConfig
    from cascade_equivalence.provenance.record import latest_config

    held = latest_config(results, "statistics").get("statistics", {})
    if isinstance(held.get("confidence"), float):
        return StatisticsConfig(**{name: held[name] for name in ("confidence", "fdr") if name in held})
    raise StudyError(f"{results} holds no record of its study's config: name the config instead")
