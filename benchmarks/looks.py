"""Processor time of Snakemake itself while short jobs run: as it is, and with one look at the waiting jobs at a time.

    python benchmarks/looks.py --jobs 200 --seconds 0.2

The same Snakefile, two jobs at a time, in turns; the jobs' own time does not count. See ``jobs/looks.py``.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SNAKEFILE = """
rule all:
    input:
        expand("made/{{number}}", number=range({jobs})),

rule make:
    output:
        "made/{{number}}",
    shell:
        "sleep {seconds}; touch {{output}}"
"""
# Printed last: user and system time of this process, without its children's.
RUN = """
import resource, sys
from snakemake.cli import main
if {once}:
    from cascade_equivalence.jobs.start import look_less_often
    look_less_often()
try:
    main(["--cores", "2", "--quiet", "all", "--scheduler", "greedy"])
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, flush=True)
"""


def seconds_of(once: bool, jobs: int, seconds: float) -> float:
    """Processor seconds of a run's own process."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Snakefile").write_text(SNAKEFILE.format(jobs=jobs, seconds=seconds), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", RUN.format(once=once)], cwd=folder, check=True, capture_output=True, text=True
        )
        made = len(list(Path(folder, "made").iterdir()))
        if made != jobs:
            raise SystemExit(f"{made} of {jobs} jobs ran:\n{done.stderr}")
        return float(done.stdout.split()[-1])


def main() -> None:
    """Run both in turns and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="jobs of one run")
    parser.add_argument("--seconds", type=float, default=0.2, help="what each sleeps")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each")
    given = parser.parse_args()
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(given.repeats):
        for once, times in found.items():
            times.append(seconds_of(once, given.jobs, given.seconds))
    for once, times in found.items():
        print(
            f"{'one look at a time' if once else 'as it is':20} {min(times):6.1f} to {max(times):6.1f} s of a processor"
        )
    print(f"ratio {min(found[False]) / min(found[True]):.1f}")


if __name__ == "__main__":
    main()
