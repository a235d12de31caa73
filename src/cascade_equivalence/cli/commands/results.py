"""The commands on results folders."""

from cascade_equivalence.cli.parser import Commands
from cascade_equivalence.provenance.commands import add_commands


def add(commands: Commands) -> None:
    """Add the commands."""
    add_commands(commands)
