"""Times Snakemake on the paper's matrix before a single job: reading the workflow, planning it, finding it finished.

    python benchmarks/planning.py

Reading: ``--list-rules`` of this workflow against that of a Snakefile with one rule. Planning: a dry run of
``config/config.yaml`` with nothing there. Finished: the same files, all there (empty, their times and Snakemake's notes
of them in order), and Snakemake asked to make them; this is what a user waits for who has nothing to do. All in a copy
of the project, so that nothing of it is touched.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from goal import Goal, write_goals

from cascade_equivalence.__main__ import read_study

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

ONE_RULE = "rule all:\n    output: 'one.txt'\n    shell: 'touch {output}'\n"
DONE = "Nothing to be done"
# No service is asked, but a study whose keys are missing does not begin.
APIS = read_study(REPOSITORY / "config" / "config.yaml").apis.values()
KEYS = {api.key_variable: "none" for api in APIS if api.key_variable}


def snakemake(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run Snakemake in a folder; its seconds, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | KEYS | {"CASCADE_EQUIVALENCE_CACHE": str(folder / "cache")},
    )
    if done.returncode:
        sys.exit(done.stdout)
    return time.perf_counter() - began, done.stdout


def finish(folder: Path, config: Sequence[str]) -> int:
    """Make every file of a study, empty, and have Snakemake note it as its jobs' work; the number of files."""
    _, table = snakemake(folder, *config, "--summary")
    rows = [line.split("\t") for line in table.splitlines() if line.count("\t") >= 5]  # noqa: PLR2004
    places = [Path(row[0]) for row in rows if row[0] != "output_file"]
    for place in places:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir(exist_ok=True)
    snakemake(folder, *config, "--touch", "--cores", "1")
    return len(places)


def main() -> None:
    """Measure, print, and write the numbers as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--goals", type=Path, help="write what is aimed at beside what was found, for goals.py")
    arguments = parser.parse_args()
    from checkout import Checkout

    config = ("--configfile", "config/config.yaml")
    found: dict[str, list[float]] = {"one rule": [], "reading": [], "planning": [], "finished": []}
    with TemporaryDirectory() as scratch:
        folder, small = Path(scratch, "project"), Path(scratch, "small")
        Checkout(folder)
        small.mkdir()
        (small / "Snakefile").write_text(ONE_RULE, encoding="utf-8")
        # In turns: a machine that slows down slows all of them.
        for _ in range(arguments.repeats):
            found["one rule"].append(snakemake(small, "--list-rules")[0])
            found["reading"].append(snakemake(folder, *config, "--list-rules")[0])
            seconds, planned = snakemake(folder, *config, "--dry-run", "--quiet", "rules")
            found["planning"].append(seconds)
        files = finish(folder, config)
        for _ in range(arguments.repeats):
            seconds, printed = snakemake(folder, *config, "--cores", "1")
            if DONE not in printed:
                sys.exit(f"The finished study was not taken for finished:\n{printed}")
            found["finished"].append(seconds)
    jobs = next((line.split()[1] for line in planned.splitlines() if line.startswith("total")), "?")
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    print(f"{jobs} jobs, {files} files; medians of {arguments.repeats}")
    print(f"a Snakefile of one rule, --list-rules: {medians['one rule']:.2f} s")
    more = medians["reading"] - medians["one rule"]
    print(f"this workflow, --list-rules: {medians['reading']:.2f} s, {more:.2f} s more")
    print(f"dry run with nothing there: {medians['planning']:.2f} s")
    print(f"run with everything there: {medians['finished']:.2f} s")
    write_goals(
        arguments.goals,
        [
            Goal(f"dry run of the full matrix, {jobs} jobs", "", 6, found["planning"], at_most=True, unit="s"),
            Goal("the full matrix, finished", "", 6, found["finished"], at_most=True, unit="s"),
        ],
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"seconds": found, "jobs": jobs, "files": files}, indent=2) + "\n")


if __name__ == "__main__":
    main()
