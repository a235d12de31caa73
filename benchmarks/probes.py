"""Times the ridge probes of one layer, all from one decomposition a fold, against scikit-learn.

    python benchmarks/probes.py --utterances 1000 --width 4096 --repeats 3

The targets are those of a layer: energy, pitch and 48 character frequencies, each with its twins on shuffled targets.
Every arm standardises inside the folds, picks a penalty of nine in five folds for each target, and predicts the test
part. Baseline: what a user would write, one ``GridSearchCV`` over ``StandardScaler`` and ``Ridge`` a target; it is run
on a few targets and scaled to all of them. Also: one ``RidgeCV`` a target (its leave-one-out form, which shares a
decomposition among penalties but not among targets, and sees the held-out rows when it standardises), scaled likewise;
and scikit-learn's ``Ridge`` with all targets at once, one fit a penalty and fold. Arms take turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rows_table import as_markdown, in_turn, write_json
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cascade_equivalence.config.mechanism import ProbesConfig
from cascade_equivalence.mechanism.ridge import Floats, fit_predict, item_folds

CONFIG = ProbesConfig()
CHARACTERS = 48


@dataclass(frozen=True)
class Layer:
    """States (utterances, width) of both parts, all targets of the training part, and the inner folds."""

    train: Floats
    test: Floats
    targets: Floats
    folds: np.ndarray


@dataclass
class Arm:
    """One way to probe: a function from a layer to predictions (test rows, targets run), and the targets it runs."""

    name: str
    run: Callable[[Layer], Floats]
    targets: Sequence[int]
    seconds: list[float] = field(default_factory=list)
    values: Floats = field(default_factory=lambda: np.empty((0, 0)))


def make_layer(utterances: int, width: int, seed: int = 0) -> Layer:
    """States with a falling spectrum, as real ones have, and targets that depend on them more or less."""
    rng = np.random.default_rng(seed)
    spread = np.arange(1, width + 1) ** -0.5
    states = (rng.standard_normal((utterances, width)) * spread) @ rng.standard_normal((width, width))
    count = 2 + CHARACTERS
    learners = utterances - round(CONFIG.test_share * utterances)
    targets = states @ rng.standard_normal((width, count)) * spread[:count]
    targets += targets.std() * rng.standard_normal(targets.shape)
    orders = [np.arange(learners), *(rng.permutation(learners) for _ in range(CONFIG.shuffles))]
    every = np.concatenate([targets[order] for order in orders], axis=1)
    folds = item_folds([str(row) for row in range(learners)], CONFIG.folds, seed)
    return Layer(states[:learners], states[learners:], every, folds)


def ours(layer: Layer) -> Floats:
    """All targets and penalties from one decomposition a fold; here each target picks its own penalty."""
    blocks = range(layer.targets.shape[1])
    return fit_predict(
        layer.train, layer.targets, layer.test, blocks=blocks, folds=layer.folds, penalties=CONFIG.penalties
    ).values


def grid_search(layer: Layer, targets: Sequence[int]) -> Floats:
    """One grid search a target."""
    columns = []
    for target in targets:
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()),
            {"ridge__alpha": CONFIG.penalties},
            cv=PredefinedSplit(layer.folds),
            scoring="neg_mean_squared_error",
        )
        columns.append(search.fit(layer.train, layer.targets[:, target]).predict(layer.test))
    return np.stack(columns, axis=1)


def leave_one_out(layer: Layer, targets: Sequence[int]) -> Floats:
    """One RidgeCV a target."""
    columns = []
    for target in targets:
        model = make_pipeline(StandardScaler(), RidgeCV(CONFIG.penalties))
        columns.append(model.fit(layer.train, layer.targets[:, target]).predict(layer.test))
    return np.stack(columns, axis=1)


def every_target_at_once(layer: Layer) -> Floats:
    """One Ridge a penalty and fold, for all targets; then one a penalty that some target picked."""
    errors = np.zeros((len(CONFIG.penalties), layer.targets.shape[1]))
    for fold in np.unique(layer.folds):
        out = layer.folds == fold
        for row, penalty in enumerate(CONFIG.penalties):
            model = make_pipeline(StandardScaler(), Ridge(penalty)).fit(layer.train[~out], layer.targets[~out])
            errors[row] += ((model.predict(layer.train[out]) - layer.targets[out]) ** 2).sum(axis=0)
    choice = errors.argmin(axis=0)
    values = np.empty((len(layer.test), layer.targets.shape[1]))
    for row in np.unique(choice):
        own = np.flatnonzero(choice == row)
        model = make_pipeline(StandardScaler(), Ridge(CONFIG.penalties[row])).fit(layer.train, layer.targets[:, own])
        values[:, own] = model.predict(layer.test).reshape(len(layer.test), -1)
    return values


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sample", type=int, default=2, help="targets that the arms with one model a target run")
    parser.add_argument("--output", type=Path, help="write the rows as JSON, too")
    arguments = parser.parse_args()
    layer = make_layer(arguments.utterances, arguments.width)
    count = layer.targets.shape[1]
    every, some = range(count), range(0, count, max(1, count // arguments.sample))[: arguments.sample]
    arms = [
        Arm("scikit-learn: GridSearchCV a target", lambda layer: grid_search(layer, some), some),
        Arm("scikit-learn: RidgeCV a target, leave-one-out", lambda layer: leave_one_out(layer, some), some),
        Arm("scikit-learn: Ridge, all targets at once", every_target_at_once, every),
        Arm("ours", ours, every),
    ]
    with threadpool_limits(arguments.threads):
        ours(make_layer(100, 200))  # the first call loads code
        for repeat in range(arguments.repeats):
            for arm in in_turn(arms, repeat):
                began = time.perf_counter()
                arm.values = arm.run(layer)
                arm.seconds.append((time.perf_counter() - began) * count / len(arm.targets))
    found = arms[-1]
    rows: list[dict[str, Any]] = [
        {
            "arm": arm.name,
            "targets run": len(arm.targets),
            "seconds a layer": statistics.median(arm.seconds),
            "ratio": statistics.median(arm.seconds) / statistics.median(found.seconds),
            "largest difference": float(np.abs(arm.values - found.values[:, list(arm.targets)]).max()),
        }
        for arm in arms
    ]
    print(f"{arguments.utterances} utterances, width {arguments.width}, {count} targets\n")
    print(as_markdown(rows))
    if arguments.output:
        write_json(arguments.output, arguments, {"rows": rows})


if __name__ == "__main__":
    main()
