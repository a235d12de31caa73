"""Estimate what a study takes."""

import argparse
import json
from pathlib import Path

from cascade_equivalence.cli.parser import Commands, add_command, add_config, add_json


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "estimate", run)
    add_config(parser)
    parser.add_argument(
        "--figures", type=Path, help="your own file of speeds and sizes, instead of resources/estimate.yaml"
    )
    add_json(parser, "print all numbers as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Say what a study takes: GPU hours, disk, calls of services, and what its API systems cost at most."""
    from cascade_equivalence.cli.study import read_study
    from cascade_equivalence.costs.figures import FIGURES, read_figures
    from cascade_equivalence.estimate.study import estimate_study

    found = estimate_study(read_study(arguments.config), read_figures(arguments.figures or FIGURES))
    print(json.dumps(found.to_json(), indent=2) if arguments.json else found.text())
    return 0
