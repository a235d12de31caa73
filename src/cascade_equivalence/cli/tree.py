"""The tree of commands: each module of `cli.commands` adds its own."""

import argparse
from importlib import import_module
from pkgutil import iter_modules

import cascade_equivalence
from cascade_equivalence import __version__
from cascade_equivalence.cli import commands as modules
from cascade_equivalence.cli.parser import PROGRAM


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each module of ``cli.commands`` adds its own commands."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=cascade_equivalence.__doc__)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for module in iter_modules(modules.__path__):
        import_module(f"{modules.__name__}.{module.name}").add(commands.add_parser)
    parser.set_defaults(whole=parser)
    return parser
