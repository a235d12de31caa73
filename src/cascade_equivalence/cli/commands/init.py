"""Write a first study."""

import argparse
import shlex
from pathlib import Path
from string import Template

from cascade_equivalence.cli.calls import program, snakemake
from cascade_equivalence.cli.parser import PROGRAM, Commands, add_command
from cascade_equivalence.errors import StudyError

TEMPLATE = Template("""\
# A small study: two recognisers before one language model, on eight sentences in one voice; some minutes on two cores.
# What is wrong with it, what it takes, the run itself (-n: what would run), its headline:
#   $program check $file
#   $program estimate $file
#   $command
#   $program show $file
# Every key with its default: config/defaults.yaml. What can be named: $program list systems

# What can be named below; files of your own may follow, and later definitions win.
registry: [config/models.yaml, config/systems.yaml, config/voices.yaml, config/tasks.yaml]

# Where everything goes; a second study needs a folder of its own.
results: results/$name

tasks: [sst2]
items:
  source: demo # the project's own items; `published` takes the real sets
  per_task: 8
speech:
  voices: [us]
  silence: true # every system is also asked over silence: what the prompt alone gives

systems: [tiny-smollm2, base-smollm2]
pairs:
  - { system: tiny-smollm2, reference: base-smollm2, label: "same LLM, two recognisers" }

# Babble at 10 dB, as conditions beside clean speech:
# noise: { snr_db: [10], voices: [us], tasks: [sst2] } # needs a second voice in `speech`, which babbles

transcribe: { engine: hybrid, device: cpu }
answer: { device: cpu }
statistics: { draws: 1000 }
""")

OWN = Template("""\
# A study of your own items: a small speech LLM and two cascades; some minutes on two cores.
# What is wrong with it, what it takes, the run itself (-n: what would run), its headline:
#   $program check $file
#   $program estimate $file
#   $command
#   $program show $file
# What each key means: docs/your-own-task.md, config/defaults.yaml. What can be named: $program list systems

# What can be named below; files of your own may follow, and later definitions win.
registry: [config/models.yaml, config/systems.yaml, config/voices.yaml, config/tasks.yaml]

# Where everything goes; a second study needs a folder of its own.
results: results/$name

# The prompt is a guess, and small models depend on its wording: change it. `answer_prefix` begins every answer.
$tasks
items: { source: demo }
$speech
systems: [mini, base-smollm2, base-gemma]
pairs:
  - { system: mini, reference: base-smollm2, label: same LLM }
  - { system: base-gemma, reference: base-smollm2, label: other LLM }

transcribe: { engine: hybrid, device: cpu }
$answer""")

ELSEWHERE = "the workflow, which this package does not hold: in a clone of the project, or as a module (docs/deploy.md)"
"""What runs a study where the package is installed without a clone."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "init", run)
    parser.add_argument(
        "file", type=Path, nargs="?", default=Path("study.yaml"), help="the file to write (default: %(default)s)"
    )
    parser.add_argument(
        "--items", type=Path, help="your own items, a row each: CSV, JSON lines, JSON or Parquet with text and label"
    )
    parser.add_argument(
        "--recordings", type=Path, help="folder with a recording of each item, by its id, or with such a folder a voice"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write a small study with comments, to be changed into your own.

    It names the demo's models and voices: Whisper tiny and base before SmolLM2 135M, eight sentences of SST-2 in one
    voice. With --items it asks your own items, spoken or in your own recordings (docs/your-own-task.md). A file that is
    there already is left alone.
    """
    path: Path = arguments.file
    if not str(path).isprintable():
        raise StudyError(f"{str(path)!a} is no name for a study: leave out what cannot be printed")
    name = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in path.stem).strip("-") or "study"
    if arguments.recordings is not None and arguments.items is None:
        raise StudyError("--recordings: of which items? Name their file with --items")
    text, own = TEMPLATE, dict[str, str]()
    notes: tuple[str, ...] = ()
    if arguments.items is not None:
        text, (own, notes) = OWN, _own(arguments.items, arguments.recordings)
    call, file = program(PROGRAM), shlex.quote(str(path))
    command = snakemake(path) or ELSEWHERE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as study:
            study.write(text.substitute(own, program=call, file=file, command=command, name=name))
    except FileExistsError as error:
        raise StudyError(f"{path} is there already: name another file") from error
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be written: {error}") from error
    for note in notes:
        print(note)
    print(f"Written: {path}")
    print(f"Check it with `{call} check {file}`, run it with")
    print(f"  {command}")
    return 0


def _own(items: Path, recordings: Path | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """What a study of the user's own items has in place of the template's names, and what to tell the user."""
    import yaml

    from cascade_equivalence.cli.own_study import own_study

    def written(**section: object) -> str:
        return yaml.safe_dump(section, sort_keys=False, allow_unicode=True, width=10_000)

    found = own_study(items, recordings)
    speech = written(speech={"voices": list(found.voices) or ["us"], "silence": True})
    if found.voices:
        speech += written(definitions={"voices": found.voices})
    parts = {
        "tasks": written(tasks={found.name: found.task}),
        "speech": speech,
        "answer": written(answer={"device": "cpu", **found.answer}),
    }
    return parts, found.notes
