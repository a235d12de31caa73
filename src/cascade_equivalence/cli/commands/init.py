"""Write a first study."""

import argparse
from pathlib import Path

from cascade_equivalence.cli.parser import PROGRAM, Commands, add_command
from cascade_equivalence.errors import StudyError

TEMPLATE = f"""\
# A small study: two recognisers before one language model, on eight sentences in one voice; some minutes on two cores.
#   {PROGRAM} check FILE               what is wrong with it
#   {PROGRAM} estimate FILE            what it takes
#   snakemake --configfile FILE --cores 2     run it
#   {PROGRAM} show FILE                its headline
# Every key with its default: config/defaults.yaml. What can be named: {PROGRAM} list systems

# What can be named below; files of your own may follow, and later definitions win.
registry: [config/models.yaml, config/systems.yaml, config/voices.yaml, config/tasks.yaml]

# Where everything goes; a second study needs a folder of its own.
results: results/NAME

tasks: [sst2]
items:
  source: demo # the project's own items; `published` takes the real sets
  per_task: 8
speech:
  voices: [us]

systems: [tiny-smollm2, base-smollm2]
pairs:
  - {{ system: tiny-smollm2, reference: base-smollm2, label: "same LLM, two recognisers" }}

# Babble at 10 dB, as conditions beside clean speech:
# noise: {{ snr_db: [10], voices: [us], tasks: [sst2] }} # needs a second voice in `speech`, which babbles

transcribe: {{ engine: hybrid, device: cpu }}
answer: {{ device: cpu }}
statistics: {{ draws: 1000 }}
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "init", run)
    parser.add_argument(
        "file", type=Path, nargs="?", default=Path("study.yaml"), help="the file to write (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write a small study with comments, to be changed into your own.

    It names the demo's models and voices: Whisper tiny and base before SmolLM2 135M, eight sentences of SST-2 in one
    voice. A file that is there already is left alone.
    """
    path: Path = arguments.file
    if not str(path).isprintable():
        raise StudyError(f"{str(path)!a} is no name for a study: leave out what cannot be printed")
    name = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in path.stem).strip("-") or "study"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.replace("FILE", str(path)).replace("NAME", name))
    except FileExistsError as error:
        raise StudyError(f"{path} is there already: name another file") from error
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be written: {error}") from error
    print(f"Written: {path}")
    print(f"Check it with `{PROGRAM} check {path}`, run it with")
    print(f"  snakemake --configfile {path} --cores 2")
    return 0
