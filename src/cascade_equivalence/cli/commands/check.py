"""Check config files."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_equivalence.cli.parser import Commands, add_command
from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    from cascade_equivalence.stages.study import Study


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "check", run)
    parser.add_argument("config", nargs="+", type=Path, help="studies and registries, YAML or JSON, in any number")
    parser.add_argument(
        "--conda", action="store_true", help="rules will run in environments that conda makes: no engine need be here"
    )
    parser.add_argument(
        "--elsewhere", action="store_true", help="they will run on another machine: do not look for their folders here"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check config files: say of each what it is and what it would run, or what is wrong with it.

    Nothing is run and nothing is written. The exit status is 1 if anything is wrong with any of the files.
    """
    wrong = 0
    for path in arguments.config:
        try:
            print(f"{path}: {check_file(path, conda=arguments.conda, elsewhere=arguments.elsewhere)}", flush=True)
        except StudyError as error:
            wrong = 1
            print(f"Error: {error}", file=sys.stderr, flush=True)
    return wrong


def check_file(path: Path, *, conda: bool = False, elsewhere: bool = False) -> str:
    """Check one config file.

    Args:
        path: The file.
        conda: Whether Snakemake will make the rules' environments, so that an engine need not be here.
        elsewhere: Whether the study will run on another machine, so that its folders need not be here.

    Returns:
        What it is, in a few words.

    Raises:
        StudyError: What is wrong with it; the message names it.
    """
    from cascade_equivalence.cli.study import study_of
    from cascade_equivalence.config.explain import block
    from cascade_equivalence.config.load import is_registry, registry_problems, with_own_tasks
    from cascade_equivalence.config.read import read_config
    from cascade_equivalence.config.schema import is_defaults
    from cascade_equivalence.models.engines import check_engines
    from cascade_equivalence.stages import report
    from cascade_equivalence.stages.vllm_speech import check_vllm_speech

    content = read_config(path)
    if content is None:
        raise StudyError(
            f"{path} is empty: a study needs `tasks`, `systems` and `speech`; a registry needs `models`, ..."
        )
    if is_defaults(path):
        return "the list of all keys and their defaults, no study"
    if is_registry(content):
        if lines := registry_problems(with_own_tasks(content, [Path(), path.parent]), str(path)):
            raise StudyError(block(f"{path} is not a valid registry:", lines))
        held = ", ".join(f"{len(entries)} {section}" for section, entries in content.items() if entries)
        return f"valid registry ({held or 'of nothing'})"
    told: list[str] = []
    study = study_of(content, path, told.append)
    # What plugins say of their tables and figures is asked now, as planning will.
    report.targets(study)
    try:
        check_vllm_speech(study)
        check_engines(study.engines(), ["conda"] if conda else [])
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error
    if not elsewhere:
        _check_places(path, study)
        _check_imported(path, study)
    systems, pairs = len(study.config.systems), len(study.config.pairs)
    silent = [name for name in study.config.systems if study.silent_nodes and not study.is_asked_over_silence(name)]
    left = [*([f"not asked over silence: {', '.join(silent)}"] if silent else []), *told]
    return "; ".join([f"valid study ({len(study.nodes)} task x condition, {systems} systems, {pairs} pairs)", *left])


def _check_imported(path: Path, study: "Study") -> None:
    from cascade_equivalence.config.explain import block
    from cascade_equivalence.stages import imported, transcribe

    if lines := [*imported.problems(study), *transcribe.problems(study)]:
        raise StudyError(block(f"{path} has answers or transcripts that do not fit:", lines))


def _check_places(path: Path, study: "Study") -> None:
    from cascade_equivalence.config.check_folders import place_problems
    from cascade_equivalence.config.explain import block
    from cascade_equivalence.models.sources.folder import location
    from cascade_equivalence.resources import REPOSITORY

    if lines := list(place_problems(study.config, REPOSITORY, location)):
        raise StudyError(block(f"{path} cannot run here:", lines))
