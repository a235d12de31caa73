"""Compare the engines that run LLMs."""

import argparse

from cascade_equivalence.cli.parser import Commands, add_command, add_config, count


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "engines", run)
    add_config(parser)
    parser.add_argument("--items", type=count, default=100, help="clips of each system and task (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Ask a sample of a study's items of both engines: say and write how equal their answers are.

    The study must have its transcripts (clips for speech LLMs) and weights. Both transformers and vLLM must be
    installed.
    """
    from cascade_equivalence.cli.study import read_study
    from cascade_equivalence.nodes.engine_check import compare_engines, comparison_text, write_comparison

    study = read_study(arguments.config)
    found = compare_engines(study, arguments.items)
    print(comparison_text(found))
    print(f"\nWritten to {write_comparison(found, study)}")
    return 0
