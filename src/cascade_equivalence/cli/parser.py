"""What the arguments of commands have in common."""

import argparse
import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

PROGRAM = "cascade-equivalence"
Commands = Callable[..., argparse.ArgumentParser]
"""``add_parser`` of the tree."""
CommandRun = Callable[[argparse.Namespace], int]
"""What a command does: takes its arguments, gives the exit status."""
_Value = TypeVar("_Value", int, float)


def add_command(commands: Commands, name: str, run: CommandRun) -> argparse.ArgumentParser:
    """Add a command whose help is the docstring of what it runs.

    Args:
        commands: ``add_parser`` of the tree.
        name: Its name.
        run: What it does.
    """
    text = inspect.cleandoc(run.__doc__ or "")
    parser = commands(
        name, help=text.splitlines()[0], description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a study's config."""
    parser.add_argument("config", type=Path, help="the study's config file, such as config/demo.yaml")


def add_json(parser: argparse.ArgumentParser, what: str = "print everything as JSON") -> None:
    """Add the option that asks for JSON."""
    parser.add_argument("--json", action="store_true", help=what)


def count(text: str) -> int:
    """A whole number of at least 1, for an argument.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    return _number(text, int, lambda value: value >= 1, "no whole number of at least 1")


def tolerance(text: str) -> float:
    """A number from 0 to below 1, for an argument.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    wanted = "no tolerance: give a number from 0 to below 1, such as 1e-6"
    return _number(text, float, lambda value: 0 <= value < 1, wanted)


def share(text: str) -> float:
    """A number between 0 and 1, for an argument.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    return _number(text, float, lambda value: 0 < value < 1, "no share between 0 and 1, such as 0.03")


def _number(text: str, kind: type[_Value], holds: Callable[[_Value], bool], otherwise: str) -> _Value:
    with suppress(ValueError):
        if holds(value := kind(text)):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is {otherwise}")
