"""How snakemake and this program are called from the user's folder, for messages that say what to type next."""

import shlex
import shutil
import sys
from pathlib import Path

from cascade_equivalence.resources import IS_CHECKOUT, REPOSITORY

SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
"""Where Snakemake looks for a workflow by itself."""


def program(name: str) -> str:
    """A program of this environment as it is typed here: its name if the shell finds it by that, else its path."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not beside.is_file() or (found is not None and beside.samefile(found)):
        return name
    return shlex.quote(str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside))


def snakemake(config: Path) -> str | None:
    """The command that runs a study from the working folder.

    Args:
        config: The study's file.

    Returns:
        The command, or None where there is no workflow: neither in the working folder nor beside this package.
    """
    words = [program("snakemake")]
    if not any(Path(name).is_file() for name in SNAKEFILES):
        if not IS_CHECKOUT:
            return None
        words += ["--snakefile", shlex.quote(str(REPOSITORY / "workflow" / "Snakefile"))]
    return " ".join([*words, "--configfile", shlex.quote(str(config)), "--cores 2"])
