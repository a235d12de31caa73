"""Times the agreement statistics of a whole study against a loop over the draws.

    python benchmarks/agreement_statistics.py --cells 35 --texts 1000 --voices 6 --draws 10000

The size is the paper's: seven pairs on five tasks with closed label sets; the answers are synthetic. Ours: in each cell
the intervals of seven statistics (kappa, observed agreement, kappa max, PABAK, AC1, accuracy difference, overlap) that
count texts, without draws, and of four of them from draws of rows. Baseline: what a user would write, for kappa alone;
texts, or
rows, are drawn with numpy, and every draw goes through ``cohen_kappa_score``. Also: the same loop with a count table in
numpy instead. The loops run some of the draws on one cell a task, and their seconds are scaled to all draws and cells.
The ends of their intervals have to agree with ours to two digits. Arms take turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from goal import Goal, write_goals
from numpy.typing import NDArray
from rows_table import as_markdown, in_turn, write_json
from sklearn.metrics import cohen_kappa_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cascade_equivalence.stats.accuracy import accuracy_difference
from cascade_equivalence.stats.agreement import cohen_kappa, kappa, observed_agreement
from cascade_equivalence.stats.by_rows import by_rows
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.indices import index_statistics
from cascade_equivalence.stats.overlap import error_overlap
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate

LABELS = (4, 2, 5, 7, 2)  # AG News, SST-2, CSQA, MELD, MUStARD
CONFIDENCE = 0.95
TWO_DIGITS = 0.005
Codes = NDArray[np.intp]
Ends = list[float]


def make_cell(number: int, texts: int, voices: int) -> Paired:
    """Two systems that know some texts, hear some clips wrongly, and answer some of those with no label."""
    rng = np.random.default_rng(number)
    labels = LABELS[number % len(LABELS)]
    gold = rng.integers(0, labels, texts)

    def answers(known: float, misheard: float) -> Codes:
        of_text = np.where(rng.random(texts) < known, gold, rng.integers(0, labels, texts))
        lost = rng.random((texts, voices)) < misheard
        return np.where(lost, rng.integers(0, labels + 1, lost.shape), of_text[:, None]).ravel()

    truth = np.repeat(gold, voices)
    system = answers(rng.uniform(0.5, 0.9), 0.1)
    reference = np.where(rng.random(len(system)) < rng.uniform(0.1, 0.9), system, answers(0.7, 0.05))
    categories = (*map(str, range(labels)), "invalid")
    clusters = Clusters(np.repeat(np.arange(texts), voices), texts)
    return Paired(categories, system, reference, truth, system == truth, reference == truth, clusters)


def ours(cell: Paired, draws: int, seed: int) -> tuple[Ends, Ends]:
    """Everything; the ends of kappa's intervals, by texts and by rows."""
    wanted = {
        "kappa": kappa(cell),
        "observed_agreement": observed_agreement(cell),
        "accuracy_difference": accuracy_difference(cell.clusters, cell.system_correct, cell.reference_correct),
        "overlap": error_overlap(cell),
        **index_statistics(cell, closed=True),
    }
    found = estimate(wanted, cell.clusters.count, CONFIDENCE)["kappa"]
    rows = by_rows(cell, draws=draws, confidence=CONFIDENCE, seed=seed)["kappa"]
    return [found.low or 0.0, found.high or 0.0], [rows["low"], rows["high"]]


def by_scikit_learn(system: Codes, reference: Codes) -> float:
    """Kappa of one draw."""
    return float(cohen_kappa_score(system, reference))


def by_count_table(system: Codes, reference: Codes) -> float:
    """Kappa of one draw."""
    count = max(LABELS) + 1
    table = np.bincount(system * count + reference, minlength=count**2).reshape(count, count)
    return float(cohen_kappa(np.trace(table), table.sum(axis=1), table.sum(axis=0)))


def loop(cell: Paired, draws: int, seed: int, kappa_of: Callable[[Codes, Codes], float]) -> tuple[Ends, Ends]:
    """Draw texts, then rows, one draw at a time."""
    rng = np.random.default_rng(seed)
    texts, rows = cell.clusters.count, len(cell.system)
    rows_of = np.split(np.argsort(cell.clusters.index, kind="stable"), np.cumsum(np.bincount(cell.clusters.index))[:-1])
    values: tuple[list[float], list[float]] = ([], [])
    for _ in range(draws):
        of_texts = np.concatenate([rows_of[text] for text in rng.integers(0, texts, texts)])
        for found, drawn in zip(values, (of_texts, rng.integers(0, rows, rows)), strict=True):
            found.append(kappa_of(cell.system[drawn], cell.reference[drawn]))
    tail = (1 - CONFIDENCE) / 2
    first, second = (np.quantile(found, [tail, 1 - tail]).tolist() for found in values)
    return first, second


@dataclass
class Arm:
    """One way to do it, the statistics it gives, and the draws and cells it runs."""

    name: str
    gives: str
    run: Callable[[Paired, int, int], tuple[Ends, Ends]]
    draws: int
    cells: Sequence[Paired]
    seconds: list[float] = field(default_factory=list)
    ends: list[Ends] = field(default_factory=list)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=35, help="pairs x tasks")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--voices", type=int, default=6)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--loop-draws", type=int, default=1000, help="draws that the loops run")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the rows as JSON, too")
    parser.add_argument("--goals", type=Path, help="write what is aimed at beside what was found, for goals.py")
    arguments = parser.parse_args()
    cells = [make_cell(number, arguments.texts, arguments.voices) for number in range(arguments.cells)]
    few = cells[: len(LABELS)]
    loops = (("scikit-learn", by_scikit_learn), ("count table in numpy", by_count_table))
    arms = [
        *(
            Arm(
                f"a loop, {name}",
                "kappa",
                partial(loop, kappa_of=kappa_of),
                arguments.loop_draws,
                few,
            )
            for name, kappa_of in loops
        ),
        Arm("ours", "7 by texts, 4 by rows", ours, arguments.draws, cells),
    ]
    with threadpool_limits(arguments.threads):
        ours(make_cell(0, 50, 2), 100, 0)  # the first call loads code
        for repeat in range(arguments.repeats):
            for arm in in_turn(arms, repeat):
                began = time.perf_counter()
                # Another seed each time: the draws of a seed are kept from cell to cell, not from repeat to repeat.
                arm.ends = [ends for cell in arm.cells for ends in arm.run(cell, arm.draws, repeat)]
                share = arm.draws * len(arm.cells) / (arguments.draws * len(cells))
                arm.seconds.append((time.perf_counter() - began) / share)
    found = arms[-1]
    rows: list[dict[str, Any]] = [
        {
            "arm": arm.name,
            "intervals of": arm.gives,
            "draws run": arm.draws,
            "cells run": len(arm.cells),
            "seconds": statistics.median(arm.seconds),
            "ratio": statistics.median(arm.seconds) / statistics.median(found.seconds),
            "largest difference": float(np.abs(np.array(arm.ends) - np.array(found.ends[: len(arm.ends)])).max()),
        }
        for arm in arms
    ]
    size = f"{len(cells)} cells, {arguments.texts} texts x {arguments.voices} voices, {arguments.draws} draws"
    print(f"{size}; seconds are scaled to this\n")
    print(as_markdown(rows))
    if arguments.output:
        write_json(arguments.output, arguments, {"rows": rows})
    apart = [
        f"ends of the loop's {arguments.loop_draws} draws differ by {row['largest difference']:.2g}" for row in rows
    ]
    write_goals(
        arguments.goals,
        [
            Goal(f"agreement statistics, {size}", "", 10, found.seconds, at_most=True, unit="s"),
            *(
                Goal(
                    "the same",
                    arm.name,
                    100,
                    [a / b for a, b in zip(arm.seconds, found.seconds, strict=True)],
                    equal=equal,
                )
                for arm, equal in zip(arms[:1], apart, strict=False)
            ),
        ],
    )
    if (worst := max(row["largest difference"] for row in rows)) >= TWO_DIGITS:
        raise SystemExit(f"the intervals differ by {worst:.3g}, more than two digits allow; run more draws")


if __name__ == "__main__":
    main()
