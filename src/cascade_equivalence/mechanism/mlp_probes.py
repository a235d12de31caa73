"""Probes that are not linear, beside linear ones, before and after a concept is erased by LEACE.

LEACE promises that no linear probe reads what it erased; a probe with a hidden layer may read it all the same
(leakage). Targets are classes: the voice, the manner in which a text was read, and whether pitch and energy lie above
the voice's median. States are utterances' means. Everything is fitted on some texts, the eraser included, and judged on
others, in folds; beside each accuracy stand those of probes that learnt shuffled labels.

All probes of a fold, those of shuffled labels among them, train side by side as one batched product, and stop by whole
texts that none of them has seen; scikit-learn's classifier would hold out single rows. Open this to
change what a probe is or what it tells.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn import functional

from cascade_equivalence.config.mechanism import CurvedConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.identity import OF, Names
from cascade_equivalence.mechanism.concepts import class_columns
from cascade_equivalence.mechanism.leace import Eraser, Whitening, fit
from cascade_equivalence.mechanism.moments import Running, cross_moments
from cascade_equivalence.mechanism.ridge import item_folds
from cascade_equivalence.mechanism.states import States, pooled, read_index
from cascade_equivalence.stats.clusters import Floats

KINDS = ("linear", "mlp")
WHEN = ("before", "after")
LEARNING_RATE, WEIGHT_DECAY = 1e-2, 1e-2
VALIDATION = 0.2
"""Share of the training texts that decide when to stop."""
FEWEST_TEXTS, LEAST = 10, 5
"""Texts, and utterances of a class, that a target needs."""
TOLERANCE = 1e-6
"""Singular values of one-hot labels that count; what is left after erasing is not to be a matter of this number."""


@dataclass(frozen=True)
class Classes:
    """What a probe is to tell.

    Attributes:
        labels: Class of each utterance, (utterances,), -1 where it has none.
        names: Of the classes.
        strata: Whose labels may be exchanged in a shuffle, (utterances,): those of one voice, or anyone's.
    """

    labels: np.ndarray
    names: Sequence[str]
    strata: np.ndarray


def classes_of(table: pl.DataFrame, styles: Sequence[str | None]) -> dict[str, Classes]:
    """The targets of some utterances.

    Args:
        table: voice, energy_db and log_f0 of each.
        styles: The manner in which each was read; None where it was read plainly.
    """
    voices = table["voice"].to_list()
    by_voice = _codes(voices)[0]
    found = {
        "voice": Classes(*_codes(voices), np.zeros(len(voices), dtype=int)),
        "manner": Classes(*_codes(styles), by_voice),
    }
    for name, column in (("pitch", "log_f0"), ("energy", "energy_db")):
        values = table[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        labels = np.full(len(values), -1)
        for voice in np.unique(by_voice):
            own = np.flatnonzero((by_voice == voice) & np.isfinite(values))
            if len(own):
                labels[own] = values[own] > np.median(values[own])
        found[name] = Classes(labels, ("below", "above"), by_voice)
    return found


def _codes(names: Sequence[str | None]) -> tuple[np.ndarray, list[str]]:
    known = sorted({name for name in names if name is not None})
    places: dict[str | None, int] = {name: place for place, name in enumerate(known)}
    return np.array([places.get(name, -1) for name in names]), known


def curved_layer(
    states_path: Path,
    index_path: Path,
    utterances_path: Path,
    styles: Mapping[tuple[str, str], str | None],
    config: CurvedConfig,
    target: Path,
    of: Names,
) -> None:
    """Probe one layer and write, by target, what :func:`probe_classes` finds; equal seeds give equal files.

    Args:
        states_path: The states.
        index_path: Their index.
        utterances_path: The utterances.
        styles: Manner of each item, by task and id.
        config: Settings.
        target: The JSON file.
        of: Which they are: ``model`` and ``layer``.

    Raises:
        StudyError: The files do not fit each other.
    """
    states = States(states_path)
    index = read_index(index_path, states)
    utterances = pl.read_parquet(utterances_path)
    if index["utterance"].max() is None or int(index["utterance"].to_numpy().max()) >= utterances.height:
        raise StudyError(f"{index_path} lists other utterances than {utterances_path}: capture the states again")
    table = utterances[index["utterance"].to_list()]
    means = pooled(states, index)
    manners = [styles.get((task, item)) for task, item in table.select("task", "id").iter_rows()]
    found = {
        name: probe_classes(means, classes, table["text"].to_list(), config)
        for name, classes in classes_of(table, manners).items()
    }
    write_text(target, json.dumps({OF: dict(of), "targets": found}, indent=2, allow_nan=False) + "\n")


def probe_classes(means: Floats, classes: Classes, texts: Sequence[str], config: CurvedConfig) -> dict[str, Any]:
    """Probe one target.

    Args:
        means: Mean states, (utterances, width).
        classes: The target.
        texts: What each utterance says; a text is never trained on and judged.
        config: Folds, width, epochs and shuffles.

    Returns:
        ``reason`` why there is nothing, or None; ``classes``, ``majority`` (share of the commonest class), ``texts`` (a
        number for what each row that is judged says, not its words), and by kind and time (``mlp_after``) whether each
        was told right, ``right``, and the share of probes of shuffled labels that told it right, ``shuffled``.
    """
    counts = np.bincount(classes.labels[classes.labels >= 0], minlength=len(classes.names))
    common = np.flatnonzero(counts >= LEAST)
    rows = np.flatnonzero(np.isin(classes.labels, common))
    said = [texts[row] for row in rows.tolist()]
    if len(common) < 2 or len(set(said)) < FEWEST_TEXTS:  # noqa: PLR2004 - there is nothing to tell apart
        reason = (
            f"fewer than two classes have {LEAST} utterances" if len(common) < 2 else f"fewer than {FEWEST_TEXTS} texts"  # noqa: PLR2004
        )
        return {"reason": reason}
    labels = np.searchsorted(common, classes.labels[rows])
    states, strata = means[rows], classes.strata[rows]
    folds = item_folds(said, config.folds, config.seed)
    right = {f"{kind}_{when}": np.zeros((1 + config.shuffles, len(rows))) for kind in KINDS for when in WHEN}
    generator = np.random.default_rng(config.seed)
    for fold in np.unique(folds):
        learn, judge = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        taught = np.stack(
            [labels[learn]] + [_shuffled(labels, learn, strata, generator) for _ in range(config.shuffles)]
        )
        checked = item_folds([said[row] for row in learn.tolist()], round(1 / VALIDATION), config.seed) == 0
        eraser = erase_classes(states[learn], labels[learn], len(common))
        for when, maps in zip(WHEN, (None, eraser), strict=True):
            mine = states if maps is None else maps(torch.from_numpy(states)).numpy()
            for kind in KINDS:
                told = _told(
                    mine[learn], taught, checked, mine[judge], len(common), config, config.hidden * (kind == "mlp")
                )
                right[f"{kind}_{when}"][:, judge] = told == labels[judge]
    return {
        "reason": None,
        "classes": len(common),
        "majority": float(counts[common].max() / counts[common].sum()),
        # Files are shared where the words of published items must not be.
        "texts": np.unique(said, return_inverse=True)[1].tolist(),
        **{
            name: {"right": each[0].tolist(), "shuffled": each[1:].mean(axis=0).tolist()}
            for name, each in right.items()
        },
    }


def _shuffled(labels: np.ndarray, rows: np.ndarray, strata: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    found = labels[rows].copy()
    for stratum in np.unique(strata[rows]):
        own = np.flatnonzero(strata[rows] == stratum)
        found[own] = found[generator.permutation(own)]
    return found


def erase_classes(states: Floats, labels: np.ndarray, classes: int) -> Eraser:
    """LEACE of some classes, fitted on mean states (rows, width), with the mean kept.

    The covariance is shrunk: nothing linear is left on these rows either way, and of fewer rows than directions an
    eraser that is fitted without would leave more on others.
    """
    running = Running(states.shape[1])
    rows = torch.from_numpy(states)
    running.add(rows)
    moments = running.moments()
    columns = torch.from_numpy(class_columns(labels, classes))
    cross = cross_moments(rows, torch.ones(len(rows), dtype=torch.int64), columns)
    found = fit(Whitening.of(moments.covariance, moments.count, shrinkage=True), cross.covariance, TOLERANCE).eraser
    return Eraser(found.left, found.right, moments.mean)


def _told(
    states: Floats,
    labels: np.ndarray,
    checked: np.ndarray,
    others: Floats,
    classes: int,
    config: CurvedConfig,
    hidden: int,
) -> np.ndarray:
    """Classes that probes tell of other states, (probes, others); each has learnt its own labels of the same states.

    Args:
        states: (rows, width).
        labels: (probes, rows).
        checked: Rows that decide when to stop, (rows,), booleans.
        others: (others, width).
        classes: How many there are.
        config: Epochs and patience.
        hidden: Width of the hidden layer; 0 for a linear probe.
    """
    mean, spread = states[~checked].mean(axis=0), states[~checked].std(axis=0)
    # Directions that were erased vary by rounding alone.
    varies = spread > 1e-9 * np.abs(states).max()
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=varies)
    part, check, judged = (
        torch.from_numpy((each - mean) * scale).float() / np.sqrt(max(1, varies.sum()))
        for each in (states[~checked], states[checked], others)
    )
    goal, aim = (torch.from_numpy(labels[:, which]) for which in (~checked, checked))
    generator = torch.Generator().manual_seed(config.seed)
    probe = _Batch(len(labels), part.shape[1], hidden, classes, generator)
    optimizer = torch.optim.AdamW(probe.weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    least = torch.full((len(labels),), float("inf"))
    best = [weight.detach().clone() for weight in probe.weights]
    waited = torch.zeros(len(labels), dtype=torch.int64)
    for _ in range(config.epochs):
        optimizer.zero_grad()
        probe.loss(part, goal).sum().backward()
        optimizer.step()
        with torch.no_grad():
            loss = probe.loss(check, aim)
        better = loss < least
        least = torch.where(better, loss, least)
        waited = torch.where(better, 0, waited + 1)
        for kept, weight in zip(best, probe.weights, strict=True):
            kept[better] = weight.detach()[better]
        if int(waited.min()) >= config.patience:
            break
    with torch.no_grad():
        for kept, weight in zip(best, probe.weights, strict=True):
            weight.copy_(kept)
        found: np.ndarray = probe.logits(judged).argmax(-1).numpy()
    return found


class _Batch:
    """Probes of the same states, side by side: linear, or with one hidden layer beside the linear one."""

    def __init__(self, probes: int, width: int, hidden: int, classes: int, generator: torch.Generator) -> None:
        def drawn(*shape: int) -> Tensor:
            # One start for all probes, so that they differ in their labels alone.
            return torch.randn(shape, generator=generator).expand(probes, *shape).clone().requires_grad_()

        self.weights = [
            torch.zeros(probes, width, classes, requires_grad=True),
            torch.zeros(probes, 1, classes, requires_grad=True),
        ]
        self.hidden = hidden > 0
        if self.hidden:
            out = torch.zeros(probes, hidden, classes, requires_grad=True)
            self.weights += [drawn(width, hidden), torch.zeros(probes, 1, hidden, requires_grad=True), out]

    def logits(self, states: Tensor) -> Tensor:
        """(probes, rows, classes)."""
        found = states @ self.weights[0] + self.weights[1]
        if self.hidden:
            found = found + functional.relu(states @ self.weights[2] + self.weights[3]) @ self.weights[4]
        return found

    def loss(self, states: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of each probe, (probes,)."""
        logits = self.logits(states)
        return functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(dim=1)
