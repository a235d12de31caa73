"""Times a small matrix of real models through SLURM against the same matrix without a scheduler.

    make slurm && sudo .venv/bin/python benchmarks/scheduling.py

The cluster is the tests': SLURM's real daemons, two nodes on this machine, so a job that it starts has the same
processor as one that Snakemake starts itself. Both runs have everything before the matrix made already, and no shared
imports. The difference is what sending, waiting and asking cost; a cluster that others use too adds its queue.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "slurm")]

BEFORE = ("resolve_model", "synthesize_speech")


def study(items: int) -> dict[str, Any]:
    """Two recognisers before one text LLM, on one task in one voice."""
    systems = ("tiny-smollm2", "base-smollm2")
    return {
        "registry": [f"config/{name}.yaml" for name in ("models", "systems", "voices", "tasks")],
        "results": "results/matrix",
        "tasks": ["sst2"],
        "items": {"source": "demo", "per_task": items},
        "speech": {"voices": ["us"]},
        "systems": list(systems),
        "pairs": [{"system": systems[0], "reference": systems[1], "label": "same LLM, two recognisers"}],
        "transcribe": {"engine": "hybrid", "max_new_tokens": 64},
        "statistics": {"draws": 200},
    }


def timed(checkout: Any, config: dict[str, Any], options: Iterable[str]) -> tuple[float, Counter[str]]:
    """Run the matrix after all that comes before it; its seconds, and its jobs by rule."""
    for until, measured in ((BEFORE, False), (("agree",), True)):
        began = time.perf_counter()
        done = checkout.snakemake(config, "--until", *until, *options)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stdout)
        if measured:
            folder = checkout.root / "results" / "matrix" / "benchmarks"
            rules = Counter(path.relative_to(folder).parts[0] for path in folder.rglob("*.tsv"))
    return seconds, Counter({rule: count for rule, count in rules.items() if rule not in BEFORE})


def main() -> None:
    """Measure, print, and write the numbers as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    from checkout import REAL_RUN, Checkout
    from cluster import Cluster, missing
    from on_cluster import PROFILE, Site

    from cascade_equivalence.models.sources.wheels import default_cache

    if (why := missing()) is not None:
        sys.exit(why)
    config = study(arguments.items)
    with TemporaryDirectory() as scratch:
        local = Checkout(Path(scratch, "local"), default_cache())
        local.warm = False
        alone, jobs = timed(local, config, REAL_RUN)
        with Cluster(Path(scratch, "cluster")) as cluster:
            sent, _ = timed(Site(Path(scratch, "site"), cluster, default_cache()), config, PROFILE)
    count = sum(jobs.values())
    print(f"{count} jobs: " + ", ".join(f"{rule} {number}" for rule, number in sorted(jobs.items())))
    print(f"without a scheduler: {alone:.1f} s; through SLURM: {sent:.1f} s, {sent / alone:.2f} times as long")
    print(f"{(sent - alone) / count:.1f} s a job more, with both nodes at work")
    if arguments.json:
        found = {"local_seconds": alone, "slurm_seconds": sent, "jobs": dict(jobs)}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
