"""Coverage of the intervals of R2 and of the difference of two, as the report shows them, over simulated probes.

    python benchmarks/probe_intervals.py --runs 2000

Targets of independent columns are a signal that the probe predicts in part, and noise; the centre is the mean of 50
training utterances. The truth is that of the predictions as they are. The difference is that of two probes that miss
the same noise. Prints a Markdown table: how many of the intervals, of 95 %, hold the truth, how wide they are, how many
values lie outside their own interval, and how many have none.
"""

import argparse

import numpy as np
from rows_table import as_markdown

from cascade_equivalence.mechanism.ridge import explained
from cascade_equivalence.stats.statistic import Estimate, estimate

TRAIN = 50


def run(items: int, columns: int, share: float, rng: np.random.Generator) -> dict[str, tuple[Estimate, float]]:
    """One simulated study: an estimate and its truth, by name."""
    centre = rng.normal(size=columns) / np.sqrt(TRAIN)
    signal = rng.normal(size=(items, columns)) * np.sqrt(share)
    noise, own, other = rng.normal(size=(3, items, columns))
    truth = signal + noise * np.sqrt(1 - share)
    one, two = 0.9 * signal + 0.1 * own, 0.7 * signal + 0.1 * other
    there = columns + float(centre @ centre)
    real = [1 - columns * (1 - share + (1 - part) ** 2 * share + 0.01) / there for part in (0.9, 0.7)]
    names = [f"{item:04}" for item in range(items)]
    probes = [explained(truth, each, centre, names) for each in (one, two)]
    statistics = {"R2": probes[0].statistic(""), "difference": probes[0].minus(probes[1], "")}
    found = estimate(statistics, items, 0.95)
    return {"R2": (found["R2"], real[0]), "difference": (found["difference"], real[0] - real[1])}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=600, help="simulated studies a cell")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for items in (10, 13, 20, 50, 200):
        for columns in (1, 27, 48):
            for share in (0.1, 0.9):
                rng = np.random.default_rng([options.seed, items, columns, int(10 * share)])
                found = [run(items, columns, share, rng) for _ in range(options.runs)]
                row: dict[str, object] = {"items": items, "columns": columns, "R2, about": share}
                for name in ("R2", "difference"):
                    row |= _coverage(name, [each[name] for each in found])
                rows.append(row)
    print(as_markdown(rows))


def _coverage(name: str, found: list[tuple[Estimate, float]]) -> dict[str, object]:
    """Coverage and mean width of intervals, and how many values lie outside their own."""
    ends = np.array([(one.low, one.value, one.high, real) for one, real in found if one.low is not None], dtype=float)
    low, value, high, real = ends.T
    return {
        f"{name} covers %": f"{100 * ((low <= real) & (real <= high)).mean():.1f}",
        f"{name} width": f"{(high - low).mean():.3f}",
        f"{name} outside its own": int(((value < low) | (value > high)).sum()),
        f"{name} without": len(found) - len(ends),
    }


if __name__ == "__main__":
    main()
