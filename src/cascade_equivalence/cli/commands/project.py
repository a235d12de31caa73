"""Commands on the project's own files and on published sets: schema, lock, sets."""

import argparse
from pathlib import Path

from cascade_equivalence.cli.parser import Commands, add_command
from cascade_equivalence.errors import StudyError


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = add_command(commands, "schema", schema)
    parser.add_argument("folder", type=Path, help="where to write them; made if it is not there")
    parser = add_command(commands, "lock", lock)
    parser.add_argument("--upgrade", action="store_true", help="newest versions of what the pins leave open")
    parser = add_command(commands, "sets", sets)
    parser.add_argument("folder", type=Path, help="the folder, with one sub-folder a task")


def schema(arguments: argparse.Namespace) -> int:
    """Write the JSON schemas of studies and registries, and the list of all keys with their defaults."""
    from cascade_equivalence.config.schema import write

    for path in write(arguments.folder):
        print(f"Written: {path}")
    return 0


def lock(arguments: argparse.Namespace) -> int:
    """Resolve the pins of requirements/ anew: write the locks and the rules' environments.

    Asks the package index. For the project's own checkout.
    """
    from cascade_equivalence.resources import IS_CHECKOUT

    if not IS_CHECKOUT:
        raise StudyError("lock: this package is installed without the pins of the project: run it in a checkout of it")
    from cascade_equivalence.pins.write import write_locks

    write_locks(upgrade=arguments.upgrade)
    return 0


def sets(arguments: argparse.Namespace) -> int:
    """Say what a folder of published sets holds, and whether that is what was published."""
    from cascade_equivalence.tasks.report_sets import print_sets

    print_sets(arguments.folder)
    return 0
