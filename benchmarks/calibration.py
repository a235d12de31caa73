"""Checks intervals and claims on made-up studies whose truth is known: coverage, size, false discoveries, power.

    python benchmarks/calibration.py --simulations 2000 --processes 2 --out calibration.json

Intervals and tests are those of the library. Tables:

- coverage: how often an interval at 95 % holds the truth; how often it lies wholly above or below; its width; and how
  often there is one. Studies are those of ``latent_studies``: six voices that are alike, hard texts, uneven labels,
  answers that cannot be parsed. The paper's intervals, percentiles of draws of rows, stand beside.
- claims: how often each is made. Studies are those of ``planted_studies``, where a kappa or a difference lies exactly
  at its bound, so that each claim is false: 5 % at most is right for two sides, 2.5 % for one.
- near the bound: how often kappa is called above or below a bound that it lies at, where one answer prevails.
- blind: how often a system that hears nothing is called above chance.
- false discoveries: their share of what the Benjamini-Hochberg procedure finds at 5 %, over 30 tests of six systems
  against one reference, with four of five differences absent; from tests of texts and of rows.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from latent_studies import SCENARIOS, Latent, truth_tables
from numpy.typing import NDArray
from planted_studies import Planted
from rows_table import as_markdown, write_json

from cascade_equivalence.stats.accuracy import accuracy, accuracy_difference, against_chance
from cascade_equivalence.stats.agreement import kappa, observed_agreement
from cascade_equivalence.stats.by_rows import by_rows
from cascade_equivalence.stats.capa import capa
from cascade_equivalence.stats.clustered import clustered_mcnemar
from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.equivalence import judge, tests
from cascade_equivalence.stats.error_consistency import error_consistency
from cascade_equivalence.stats.indices import ac1, pabak
from cascade_equivalence.stats.intervals import difference
from cascade_equivalence.stats.mcnemar import adjust, mcnemar
from cascade_equivalence.stats.overlap import error_overlap
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.power import power
from cascade_equivalence.stats.statistic import Statistic, estimate

BATCH = 50  # simulations that share a seed
MARGIN, BOUND, ALPHA, CONFIDENCE = 0.03, 0.8, 0.05, 0.95
MISSING = {"value": None, "low": None, "high": None}
OF_PAIR: dict[str, Callable[[Paired], Statistic]] = {
    "kappa": kappa,
    "observed agreement": observed_agreement,
    "accuracy": lambda pair: accuracy(pair.clusters, pair.system_correct),
    "accuracy difference": lambda pair: accuracy_difference(pair.clusters, pair.system_correct, pair.reference_correct),
    "overlap": error_overlap,
    "error consistency": error_consistency,
    "PABAK": pabak,
    "AC1": ac1,
    "CAPA": capa,
}
PAPERS = {"kappa": "kappa", "accuracy difference": "accuracy_difference", "overlap": "overlap"}
Truth = dict[str, float]


def coverage(latent: Latent, texts: int, count: int, draws: int, seed: int) -> dict[str, Floats]:
    """Intervals of one batch: by statistic, (count, 3): value, low, high; NaN where there is none."""
    generator = np.random.default_rng([seed, 1])
    found: dict[str, list[list[float | None]]] = {}
    for _ in range(count):
        first, second = latent.draw(generator, texts)
        wanted = {name: of(first) for name, of in OF_PAIR.items()}
        wanted["contrast"] = difference(kappa(first), kappa(second), texts, "")
        for name, each in estimate(wanted, texts, CONFIDENCE).items():
            found.setdefault(name, []).append([each.value, each.low, each.high])
        rows = by_rows(first, draws=draws, confidence=CONFIDENCE, seed=seed)
        for name, key in PAPERS.items():
            found.setdefault(f"{name}, the paper's way", []).append(
                [rows[key][end] for end in ("value", "low", "high")]
            )
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def truths(latent: Latent) -> Truth:
    """The true value of each statistic: that of one study in which every table is as likely as it is."""
    made = []
    for probabilities in truth_tables(latent):
        gold, system, reference = (each.ravel() for each in np.indices(probabilities.shape))
        rows = np.rint(probabilities.ravel() * 1e7).astype(np.intp)
        keep = rows > 0
        names = (*map(str, range(len(latent.shares))), "invalid")
        one, other, truth = (np.repeat(each[keep], rows[keep]) for each in (system, reference, gold))
        alone = Clusters(np.zeros(len(one), dtype=np.intp), 1)
        made.append(Paired(names, one, other, truth, one == truth, other == truth, alone))
    first, second = made
    found = {name: float(of(first).of(np.ones((1, 1)))[0]) for name, of in OF_PAIR.items()}
    found["contrast"] = 0.0 if latent.null else found["kappa"] - float(kappa(second).of(np.ones((1, 1)))[0])
    return found


def claims(planted: Planted, count: int, seed: int) -> dict[str, Floats]:
    """Claims made in one batch, (count,) each, and the power that the formula gives."""
    made: dict[str, list[float]] = {}
    for pair in planted.draw(np.random.default_rng([seed, 2]), count):
        wanted = {name: OF_PAIR[name](pair) for name in ("kappa", "accuracy difference")}
        known = estimate(wanted, pair.clusters.count, CONFIDENCE)
        found = judge(
            pair,
            kappa=known["kappa"],
            difference=known["accuracy difference"],
            accuracy_margin=MARGIN,
            kappa_bound=BOUND,
            confidence=CONFIDENCE,
        )
        tested, (accuracies, answers) = tests(pair, ALPHA), (found["accuracy"], found["kappa"])
        planned = power(pair, found_kappa=MISSING, found_difference=MISSING, margin=MARGIN, confidence=CONFIDENCE)
        low, high = (np.nan if end is None else end for end in (answers["low"], answers["high"]))
        inside = accuracies["low"] is not None and accuracies["low"] > -MARGIN and accuracies["high"] < MARGIN
        claimed = {
            "differs: McNemar, rows": tested["p"] < ALPHA,
            "differs: McNemar, texts": tested["clustered"]["p"] < ALPHA,
            "differs: permutation, texts": tested["permutation"]["p"] < ALPHA,
            "equal": inside,
            "kappa above": low > BOUND,
            "kappa below": high < BOUND,
            "equivalent": inside and low > BOUND,
            "equal, by the power formula": planned["equivalence_power"] or 0,
            "differs: McNemar, rows, by its design effect": tested["row_test"]["size"] or 0,
        }
        for name, value in claimed.items():
            made.setdefault(name, []).append(float(value))
    return {name: np.array(values) for name, values in made.items()}


def near(prevalence: float, voices: int, texts: int, count: int, seed: int) -> dict[str, Floats]:
    """Claims on a kappa at its bound where one of two answers prevails; most voices answer as their text."""
    generator, shares = np.random.default_rng([seed, 4]), np.array([prevalence, 1 - prevalence])
    made: dict[str, list[float]] = {"kappa above": [], "kappa below": [], "without an interval": []}
    clusters = Clusters(np.repeat(np.arange(texts), voices), texts)
    for _ in range(count):

        def both(size: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
            one, other = (generator.choice(2, size=size, p=shares) for _ in range(2))
            return one, np.where(generator.random(size) < BOUND, one, other)

        anew = generator.random((texts, voices)) < (0.2 if voices > 1 else 0)
        texts_own, rows_own = both((texts,)), both((texts, voices))
        system, reference = (
            np.where(anew, row, text[:, None]).ravel() for text, row in zip(texts_own, rows_own, strict=True)
        )
        right = np.ones(len(system), dtype=bool)
        pair = Paired(("0", "1", "invalid"), system, reference, system, right, right, clusters)
        found = estimate({"kappa": kappa(pair)}, texts, CONFIDENCE)["kappa"]
        made["without an interval"].append(float(found.low is None))
        made["kappa above"].append(float(found.low is not None and found.low > BOUND))
        made["kappa below"].append(float(found.high is not None and found.high < BOUND))
    return {name: np.array(values) for name, values in made.items()}


def blind(shares: tuple[float, ...], favours: float, texts: int, count: int, seed: int) -> dict[str, Floats]:
    """Marks of a system that gives the commonest label with some probability, else any label, and hears nothing."""
    generator, labels = np.random.default_rng([seed, 5]), len(shares)
    clusters = Clusters(np.repeat(np.arange(texts), 3), texts)
    marks = []
    for _ in range(count):
        gold = np.repeat(generator.choice(labels, texts, p=shares), 3)
        of_text = np.where(generator.random(texts) < favours, 0, generator.integers(0, labels, texts))
        said = np.repeat(of_text, 3)
        answers, right = (pl.Series(each.astype(str)) for each in (said, gold))
        marks.append(against_chance(answers, right, clusters, CONFIDENCE)["against_chance"])
    return {f"called {mark}": np.array([float(each == mark) for each in marks]) for mark in ("above", "below", "at")}


def discoveries(planted: Planted, count: int, seed: int) -> dict[str, Floats]:
    """Share of false ones among discoveries, (count,), over six systems and five tasks with one reference a task."""
    generator = np.random.default_rng([seed, 3])
    shape = (count, 5, planted.texts)
    voices = (*shape, planted.voices)

    def right(of_text: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
        own = generator.random(shape) < share
        kept = np.where(generator.random(shape) < planted.shared, of_text, own)[..., None]
        return np.where(generator.random(voices) < planted.anew, generator.random(voices) < share, kept)

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
        for p in np.stack(tables, axis=1).reshape(count, -1):
            hits = np.array(adjust(p.tolist()), dtype=float) < ALPHA
            shares.setdefault(f"false discoveries, {unit}", []).append(float(hits[false].sum() / max(1, hits.sum())))
            shares.setdefault(f"true differences found, {unit}", []).append(float(hits[~false].mean()))
    return {name: np.array(values) for name, values in shares.items()}


Task = tuple[str, str, Callable[..., dict[str, Floats]], tuple[Any, ...]]


def tasks(sizes: list[int], draws: int) -> list[Task]:
    """What is simulated: table, scenario, function and its arguments before count (and draws) and seed."""
    made: list[Task] = []
    for texts in sizes:
        made += [("coverage", f"{each.name}, {texts} texts", _covered, (each, texts, draws)) for each in SCENARIOS]
        for labels, value, gap in ((2, BOUND, 0.0), (4, BOUND, 0.0), (4, 0.9, MARGIN), (4, 0.95, 0.0)):
            planted = Planted(labels, texts, 0, 0.05, difference=gap).with_kappa(value)
            scenario = f"difference {gap:.2f}, kappa {value:.2f}, {labels} labels, {texts} texts"
            made.append(("claims", scenario, claims, (planted,)))
        for voices in (1, 3):
            for share in (0.5, 0.8, 0.95, 0.99, 0.998):
                scenario = f"prevalence {share:g}, {voices} voices, {texts} texts"
                made.append(("near the bound", scenario, near, (share, voices, texts)))
        for name, shares in (("MELD", (0.481, 0.157, 0.132, 0.108, 0.08, 0.026, 0.016)), ("even", (1 / 7,) * 7)):
            for favours in (0.0, 0.7):
                scenario = f"{name} labels, commonest {favours:.0%}, {texts} texts"
                made.append(("blind", scenario, blind, (shares, favours, texts)))
        made.append(
            ("false discoveries", f"{texts} texts", discoveries, (Planted(2, texts, 0.7, 0.2, difference=0.06),))
        )
    return made


def _covered(latent: Latent, texts: int, draws: int, count: int, seed: int) -> dict[str, Floats]:
    return coverage(latent, texts, count, draws, seed)


def run(job: tuple[int, Task, int, int]) -> tuple[int, dict[str, Floats]]:
    """Run one batch of a task, in any process."""
    number, (_, _, function, arguments), count, seed = job
    return number, function(*arguments, count, seed)


def summary(task: Task, found: dict[str, Floats]) -> list[dict[str, Any]]:
    """What to print about a task."""
    table, scenario, _, arguments = task
    if table != "coverage":
        return [{"scenario": scenario} | {f"{name} %": 100 * float(each.mean()) for name, each in found.items()}]
    true = truths(arguments[0])
    rows = []
    for name, each in found.items():
        truth = true[name.split(",")[0]]
        value, low, high = each[~np.isnan(each).any(axis=1)].T
        entries = {
            "truth": truth,
            "bias": value.mean() - truth,
            "coverage %": 100 * np.mean((low <= truth) & (truth <= high)),
            "above %": 100 * np.mean(low > truth),
            "below %": 100 * np.mean(high < truth),
            "width": np.mean(high - low),
            "with an interval %": 100 * len(value) / len(each),
        }
        rows.append({"scenario": scenario, "interval": name} | {key: float(entry) for key, entry in entries.items()})
    return rows


def main() -> None:
    """Run the simulations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=200, help="draws of rows a simulation, for the paper's intervals")
    parser.add_argument("--texts", type=int, nargs="+", default=[10, 16, 100, 300, 1000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="tables to make; all by default")
    parser.add_argument("--quick", action="store_true", help="100 simulations of 100 texts")
    parser.add_argument("--out", type=Path, help="write the rows as JSON, too")
    arguments = parser.parse_args()
    simulations, sizes = (100, [100]) if arguments.quick else (arguments.simulations, arguments.texts)
    every, began = tasks(sizes, arguments.draws), time.perf_counter()
    every = [task for task in every if not arguments.only or task[0] in arguments.only]
    jobs = [
        (number, task, min(BATCH, simulations - start), arguments.seed * 1_000_003 + start)
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
        tables.setdefault(task[0], []).extend(summary(task, merged))
    print(f"{simulations} simulations, {time.perf_counter() - began:.0f} s")
    for name, rows in tables.items():
        print(f"\n{name}\n\n{as_markdown(rows)}")
    if arguments.out:
        write_json(arguments.out, arguments, tables)


if __name__ == "__main__":
    main()
