"""The command line: check a config, estimate its cost, show a study, verify, compare and pack its results."""

import argparse
import json
import os
import sys
from pathlib import Path

import yaml

from cascade_equivalence import __version__
from cascade_equivalence.config.load import load_study
from cascade_equivalence.dag.study import Study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.engines import check_engines
from cascade_equivalence.provenance.commands import add_commands, run


def read_study(path: Path) -> Study:
    """Read and check a study's config file.

    Raises:
        StudyError: The file is missing, is not YAML, or is not a valid config.
    """
    if not path.exists():
        raise StudyError(f"{path} does not exist")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    return Study(load_study(raw or {}))


def _is_study(path: Path) -> bool:
    """Whether a YAML file is a study and not a registry or the list of defaults."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return isinstance(raw, dict) and isinstance(raw.get("tasks"), list)


def check(paths: list[Path], *, conda: bool = False) -> None:
    """Check the studies among some config files, and say what each would run.

    Args:
        paths: The files.
        conda: Whether Snakemake will make the rules' environments, so that an engine need not be here.
    """
    for path in paths:
        if not path.exists() or _is_study(path):
            study = read_study(path)
            check_engines(study.engines(), ["conda"] if conda else [])
            nodes = len(study.nodes)
            systems, pairs = len(study.config.systems), len(study.config.pairs)
            print(f"{path}: valid ({nodes} task x condition, {systems} systems, {pairs} pairs)")


def show(path: Path) -> None:
    """Print the headline tables of a finished study and where its results are."""
    from cascade_equivalence.report.headline import print_headline
    from cascade_equivalence.report.tables import Tables

    study = read_study(path)
    results = study.config.results
    if not (results / "report.html").exists():
        raise StudyError(f"{results}/report.html does not exist yet: run `snakemake --configfile {path}` first")
    print()
    print_headline(Tables.read(results / "tables"), study.config.statistics.confidence)
    for name, place in (("Tables", "tables"), ("Figures", "figures"), ("Report", "report.html")):
        print(f"{name:8} {results / place}")


def estimate(path: Path, figures: Path | None, *, as_json: bool) -> None:
    """Print what a study takes: GPU hours, disk, calls of services, and what its API systems cost at most."""
    from cascade_equivalence.estimate.figures import FIGURES, read_figures
    from cascade_equivalence.estimate.study import estimate_study

    found = estimate_study(read_study(path), read_figures(figures or FIGURES))
    print(json.dumps(found.to_json(), indent=2) if as_json else found.text())


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of clips: give 1 or more")
    return value


def engines(path: Path, items: int) -> None:
    """Ask a sample of a study's items of both engines, and print and write how equal their answers are."""
    from cascade_equivalence.dag.engine_check import compare_engines, comparison_text, write_comparison

    study = read_study(path)
    found = compare_engines(study, items)
    print(comparison_text(found))
    print(f"\nWritten to {write_comparison(found, study)}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="cascade-equivalence", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="check the studies among some config files")
    checking.add_argument("config", nargs="+", type=Path)
    checking.add_argument("--conda", action="store_true", help="rules will run in environments that conda makes")
    showing = commands.add_parser("show", help="print the headline of a finished study")
    showing.add_argument("config", type=Path)
    estimating = commands.add_parser(
        "estimate", help="say what a study takes: GPU hours, disk, service calls, API costs"
    )
    estimating.add_argument("config", type=Path)
    estimating.add_argument("--figures", type=Path, help="what is multiplied, instead of resources/estimate.yaml")
    estimating.add_argument("--json", action="store_true", help="all numbers as JSON")
    comparing = commands.add_parser("engines", help="say whether transformers and vLLM give the same answers")
    comparing.add_argument("config", type=Path)
    comparing.add_argument("--items", type=_count, default=100, help="clips a system and task (default 100)")
    sets = commands.add_parser("sets", help="say what a folder of published sets holds")
    sets.add_argument("folder", type=Path)
    schema = commands.add_parser("schema", help="write the config's JSON schema and documented defaults")
    schema.add_argument("folder", type=Path)
    locking = commands.add_parser("lock", help="resolve the pins of requirements/: write the locks and envs/")
    locking.add_argument("--upgrade", action="store_true", help="newest versions of what the pins leave open")
    add_commands(commands.add_parser)
    arguments = parser.parse_args()
    try:
        if run(arguments):
            return
        if arguments.command == "check":
            check(arguments.config, conda=arguments.conda)
        elif arguments.command == "show":
            show(arguments.config)
        elif arguments.command == "estimate":
            estimate(arguments.config, arguments.figures, as_json=arguments.json)
        elif arguments.command == "engines":
            engines(arguments.config, arguments.items)
        elif arguments.command == "sets":
            from cascade_equivalence.tasks.report_sets import print_sets

            print_sets(arguments.folder)
        elif arguments.command == "lock":
            from cascade_equivalence.pins.write import write_locks

            write_locks(upgrade=arguments.upgrade)
        else:
            from cascade_equivalence.config.schema import write

            write(arguments.folder)
    except StudyError as error:
        sys.exit(f"Error: {error}")
    except BrokenPipeError:
        # `| head` has read enough. What is left in the buffer would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
