"""Recorded announcements with their words, for a study of recorded against synthetic speech."""

import argparse
from pathlib import Path

from cascade_equivalence.cli.parser import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "telephone", run)
    parser.add_argument("folder", type=Path, help="where they go, such as data/telephone")


def run(arguments: argparse.Namespace) -> int:
    """Fetch recorded telephone announcements and their words.

    One speaker, CC BY-SA 3.0, from two packages of Debian (11 MB, checked against their hashes); ffmpeg decodes them.
    config/natural.yaml asks about them, recorded and synthetic.
    """
    from cascade_equivalence.models.sources.wheels import default_cache
    from cascade_equivalence.speech.telephone import fetch_telephone

    count = fetch_telephone(arguments.folder, default_cache())
    print(f"{count} announcements: {arguments.folder}/items.csv, {arguments.folder}/recordings")
    return 0
