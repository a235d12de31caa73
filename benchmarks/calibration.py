"""Checks the statistics on made-up studies whose truth is known: coverage, size, false discoveries, bias, power.

    python benchmarks/calibration.py --simulations 2000 --processes 2 --out calibration.json

Two systems answer texts that six voices speak. Each system has an answer to a text, which with some probability the two
share; in some voices it answers anew. Voices of one text are therefore alike, as in a study, and every probability of a
pair of answers is known, hence every true value. The intervals and tests are those of the library. Tables:

- coverage: how often an interval holds the truth, drawing whole texts or drawing rows; how often it lies wholly above
  or below; and the bias of the estimate. The aim is the interval's level, 95 %.
- claims: how often each is made. False, so 5 % at most is right: "differs" at difference 0; "equal" at difference 0.03,
  the margin; "kappa above" and "below" at kappa 0.80, the bound; "equivalent" at either. The power formula supposes no
  difference; the size of McNemar's test of rows by its design effect, too.
- false discoveries: the share of them among what the Benjamini-Hochberg procedure finds at 5 %, over 30 tests of six
  systems against one reference, with four of five differences absent; from tests of texts and of rows.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from planted_studies import Planted
from rows_table import as_markdown, write_json

from cascade_equivalence.stats.accuracy import accuracy_difference
from cascade_equivalence.stats.agreement import kappa, observed_agreement
from cascade_equivalence.stats.bootstrap import Floats, Statistic, estimate
from cascade_equivalence.stats.by_rows import by_rows
from cascade_equivalence.stats.clustered import clustered_mcnemar
from cascade_equivalence.stats.equivalence import judge, tests
from cascade_equivalence.stats.mcnemar import adjust, mcnemar
from cascade_equivalence.stats.overlap import error_overlap, overlap_interval
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.power import power

BATCH = 50  # simulations that share a seed, and so the bootstrap's weights
MARGIN, BOUND, ALPHA, CONFIDENCE = 0.03, 0.8, 0.05, 0.95
MISSING = {"value": None, "low": None, "high": None}


def coverage(planted: Planted, count: int, draws: int, seed: int) -> dict[str, Floats]:
    """Intervals of one batch at 95 %: by statistic and method, (count, 3): value, low, high."""
    studies = list(planted.draw(np.random.default_rng([seed, 1]), count))
    made: dict[str, Callable[[Paired], Statistic]] = {
        "kappa": kappa,
        "observed_agreement": observed_agreement,
        "accuracy_difference": lambda pair: accuracy_difference(
            pair.clusters, pair.system_correct, pair.reference_correct
        ),
        "overlap": error_overlap,
    }
    wanted = {f"{index} {name}": of(pair) for index, pair in enumerate(studies) for name, of in made.items()}
    found = estimate(wanted, planted.texts, draws=draws, confidence=CONFIDENCE, seed=seed)
    triples: dict[str, list[list[float | None]]] = {}
    for index, pair in enumerate(studies):
        rows = by_rows(pair, draws=draws, confidence=CONFIDENCE, seed=seed)
        score = judge(pair, accuracy_margin=MARGIN, kappa_bound=BOUND, alpha=(1 - CONFIDENCE) / 2)
        score["accuracy"]["value"] = score["accuracy"]["difference"]
        for method, each in (
            *((f"{name}, percentile, rows", rows[name]) for name in made),
            *((f"{name}, percentile, texts", asdict(found[f"{index} {name}"])) for name in made),
            ("accuracy_difference, score, texts", score["accuracy"]),
            ("kappa, score, texts", score["kappa"]),
            ("overlap, score, texts", asdict(overlap_interval(pair, CONFIDENCE))),
        ):
            triples.setdefault(method, []).append([each[part] for part in ("value", "low", "high")])
    return {method: np.array(values, dtype=float) for method, values in triples.items()}


def claims(planted: Planted, count: int, draws: int, seed: int) -> dict[str, Floats]:
    """Claims made in one batch, (count,) each, and the power that the formula gives."""
    studies = dict(enumerate(planted.draw(np.random.default_rng([seed, 2]), count)))
    kappas = {str(index): kappa(pair) for index, pair in studies.items()}
    percentile = estimate(kappas, planted.texts, draws=draws, confidence=1 - 2 * ALPHA, seed=seed)
    made: dict[str, list[float]] = {}
    for index, pair in studies.items():
        found, tested = judge(pair, accuracy_margin=MARGIN, kappa_bound=BOUND, alpha=ALPHA), tests(pair, ALPHA)
        accuracy, lower = found["accuracy"], percentile[str(index)].low
        planned = power(
            pair, found_kappa=MISSING, found_difference=MISSING, margin=MARGIN, alpha=ALPHA, confidence=CONFIDENCE
        )
        claimed = {
            "differs: McNemar, rows": tested["p"] < ALPHA,
            "differs: McNemar, texts": tested["clustered"]["p"] < ALPHA,
            "differs: permutation, texts": tested["permutation"]["p"] < ALPHA,
            "equal: Tango, rows": accuracy["tango_low"] > -MARGIN and accuracy["tango_high"] < MARGIN,
            "equal: Tango, texts": accuracy["p_equivalence"] < ALPHA,
            "kappa above: percentile, texts": lower is not None and lower > BOUND,
            "kappa above: score, texts": found["kappa"]["verdict"] == "above",
            "kappa below: score, texts": found["kappa"]["verdict"] == "below",
            "equivalent": found["verdict"] == "equivalent",
            "equal, by the power formula": planned["equivalence_power"] or 0,
            "differs: McNemar, rows, by its design effect": tested["row_test"]["size"] or 0,
        }
        for name, value in claimed.items():
            made.setdefault(name, []).append(float(value))
    return {name: np.array(values) for name, values in made.items()}


def discoveries(planted: Planted, count: int, _: int, seed: int) -> dict[str, Floats]:
    """Share of false ones among discoveries, (count,), over six systems and five tasks with one reference a task."""
    generator = np.random.default_rng([seed, 3])
    shape = (count, 5, planted.texts)
    voices = (*shape, planted.voices)

    def right(of_text: NDArray[np.bool_], accuracy: float) -> NDArray[np.bool_]:
        own = generator.random(shape) < accuracy
        kept = np.where(generator.random(shape) < planted.shared, of_text, own)[..., None]
        return np.where(generator.random(voices) < planted.anew, generator.random(voices) < accuracy, kept)

    text = generator.random(shape) < planted.accuracy
    reference = right(text, planted.accuracy)
    apart = planted.difference / ((1 - planted.anew) * (1 - planted.shared) + planted.anew)
    p_values: dict[str, list[Floats]] = {"by texts": [], "by rows": []}
    for differs in (False, False, False, False, False, True):
        system = right(text, planted.accuracy + apart * differs)
        b, c = ((one & ~other).sum(axis=-1) for one, other in ((system, reference), (reference, system)))
        found = [[clustered_mcnemar(x, y).p for x, y in zip(*two, strict=True)] for two in zip(b, c, strict=True)]
        p_values["by texts"].append(np.array(found, dtype=float))
        sums = b.sum(axis=-1), c.sum(axis=-1)
        p_values["by rows"].append(np.vectorize(lambda x, y: mcnemar(int(x), int(y)).p)(*sums))
    false = np.repeat([True] * 5 + [False], 5)
    shares: dict[str, list[float]] = {}
    for unit, tables in p_values.items():
        every = np.stack(tables, axis=1).reshape(count, -1)
        for p in every:
            hits = np.array(adjust(p.tolist()), dtype=float) < ALPHA
            shares.setdefault(f"false discoveries, {unit}", []).append(float(hits[false].sum() / max(1, hits.sum())))
            shares.setdefault(f"true differences found, {unit}", []).append(float(hits[~false].mean()))
    return {name: np.array(values) for name, values in shares.items()}


Task = tuple[Callable[[Planted, int, int, int], dict[str, Floats]], str, Planted]


def tasks(sizes: list[int]) -> list[Task]:
    """What is simulated: function, scenario and planted systems."""
    made: list[Task] = []
    for texts in sizes:
        for labels, value, anew in ((2, 0.7, 0.1), (4, 0.8, 0.1), (4, 0.93, 0.05), (5, 0.6, 0.1)):
            planted = Planted(labels, texts, 0, anew, difference=0.02).with_kappa(value)
            made.append((coverage, f"{labels} labels, {texts} texts", planted))
        for labels, value, difference in ((2, BOUND, 0.0), (4, BOUND, 0.0), (4, 0.9, MARGIN), (4, 0.95, 0.0)):
            planted = Planted(labels, texts, 0, 0.05, difference=difference).with_kappa(value)
            scenario = f"difference {difference:.2f}, kappa {value:.2f}, {labels} labels, {texts} texts"
            made.append((claims, scenario, planted))
        made.append((discoveries, f"{texts} texts", Planted(2, texts, 0.7, 0.2, difference=0.06)))
    return made


def run(job: tuple[int, Task, int, int, int]) -> tuple[int, dict[str, Floats]]:
    """Run one batch of a task, in any process."""
    number, (function, _, planted), count, draws, seed = job
    return number, function(planted, count, draws, seed)


def summary(task: Task, found: dict[str, Floats]) -> list[dict[str, Any]]:
    """What to print about a task."""
    function, scenario, planted = task
    if function is not coverage:
        return [{"scenario": scenario} | {f"{name} %": 100 * float(each.mean()) for name, each in found.items()}]
    rows = []
    for name, each in found.items():
        truth = planted.truth()[name.split(",")[0]]
        value, low, high = each[~np.isnan(each).any(axis=1)].T
        entries = {
            "truth": truth,
            "bias": value.mean() - truth,
            "coverage %": 100 * np.mean((low <= truth) & (truth <= high)),
            "above %": 100 * np.mean(low > truth),
            "below %": 100 * np.mean(high < truth),
            "width": np.mean(high - low),
        }
        rows.append({"scenario": scenario, "interval": name} | {key: float(entry) for key, entry in entries.items()})
    return rows


def main() -> None:
    """Run the simulations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws a simulation")
    parser.add_argument("--texts", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="100 simulations of 100 texts")
    parser.add_argument("--out", type=Path, help="write the rows as JSON, too")
    arguments = parser.parse_args()
    simulations, sizes = (100, [100]) if arguments.quick else (arguments.simulations, arguments.texts)
    every, began = tasks(sizes), time.perf_counter()
    jobs = [
        (number, task, min(BATCH, simulations - start), arguments.draws, arguments.seed * 1_000_003 + start)
        for number, task in enumerate(every)
        for start in range(0, simulations, BATCH)
    ]
    parts: list[list[dict[str, Floats]]] = [[] for _ in every]
    with ProcessPoolExecutor(arguments.processes) as pool:
        for number, found in pool.map(run, jobs):
            parts[number].append(found)
    tables: dict[str, list[dict[str, Any]]] = {}
    for task, batches in zip(every, parts, strict=True):
        merged = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        tables.setdefault(task[0].__name__, []).extend(summary(task, merged))
    print(f"{simulations} simulations, {time.perf_counter() - began:.0f} s")
    for name, rows in tables.items():
        print(f"\n{name}\n\n{as_markdown(rows)}")
    if arguments.out:
        write_json(arguments.out, arguments, tables)


if __name__ == "__main__":
    main()
