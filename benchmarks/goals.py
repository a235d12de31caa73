"""Runs the benchmarks that have a goal, one after the other, and prints one table.

    python benchmarks/goals.py                    # all: about 18 minutes on two quiet cores
    python benchmarks/goals.py erasers planning   # some

Each benchmark says itself what it aims at, and against what; this file says with which settings it runs.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from goal import read_goals
from rows_table import as_markdown
from turns import processor

HERE = Path(__file__).resolve().parent
COMMANDS = (
    "transcribe_and_answer.py --clips 32 --repeats 3",
    "speech_llm.py --clips 64 --repeats 3 --dtype float32",
    "opened_models.py --width 576 --repeats 5",
    "erasers.py --width 576 --repeats 3",
    "agreement_statistics.py",
    "planning.py",
)


def main() -> None:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [Path(command.split()[0]).stem for command in COMMANDS]
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help=f"of {', '.join(names)}; all by default")
    wanted = parser.parse_args().benchmarks or names
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(names)}")
    rows, failed = [], []
    for name, command in zip(names, COMMANDS, strict=True):
        if name not in wanted:
            continue
        print(f"\n## python benchmarks/{command}\n", flush=True)
        script, *options = shlex.split(command)
        with TemporaryDirectory() as folder:
            goals = Path(folder, "goals.json")
            done = subprocess.run([sys.executable, HERE / script, *options, "--goals", goals], check=False)
            if goals.exists():
                rows += [goal.cells() for goal in read_goals(goals)]
            else:
                failed.append(f"{script} ended with {done.returncode} and no numbers")
    print(f"\n## Goals\n\n{processor()}\n")
    print(as_markdown(rows) if rows else "No numbers.")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
