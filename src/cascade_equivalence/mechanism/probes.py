"""What a layer knows of sound and text: ridge probes of utterances, the CTC probe of frames (paper sections 3.4, 5.1).

Ridge probes read an utterance's mean state; their targets are its energy, its pitch and its bag of characters. What has
no value for an utterance (the pitch of an unvoiced clip, the bag of a text without a known character) leaves that
utterance out of that probe, in training and in testing; probes with the same utterances share one decomposition.
The CTC probe reads frames. Beside each stand its controls: the same probe taught with other utterances' targets
(selectivity, after Hewitt and Liang 2019), and for the CTC probe one that sees a constant in place of the states.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from cascade_equivalence.atomic import write_text
from cascade_equivalence.config.mechanism import ProbesConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.characters import Alphabet, character_errors, feasible
from cascade_equivalence.mechanism.ctc import CtcProbe, Frames, Lesson, Taught, train_probes
from cascade_equivalence.mechanism.ridge import Floats, fit_predict, item_folds, r_squared, r_squared_of_test
from cascade_equivalence.mechanism.states import States, pooled, read_index
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.intervals import smooth
from cascade_equivalence.stats.statistic import Interval, Statistic, estimate, value_of

CONFIDENCE = 0.95
VALIDATION = 0.1
"""Share of the training items that stop the CTC probe early."""
NOTHING_READ = "no interval: there are as many errors as characters, whichever items are left out"
ENOUGH = 2
"""Items that cross-validation, and utterances that a variance, need at least."""


@dataclass(frozen=True)
class Utterances:
    """The utterances of a layer, in the order of the utterances table.

    Attributes:
        items: Task and id.
        texts: What is spoken.
        train: Whether it trains rather than tests, (utterances,).
        alphabet: Characters of the training texts.
    """

    items: Sequence[str]
    texts: Sequence[str]
    train: np.ndarray
    alphabet: Alphabet

    def places(self, train: bool) -> list[int]:
        """Places of those that train, or of those that test."""
        found: list[int] = np.flatnonzero(self.train == train).tolist()
        return found


def probe_layer(
    states_path: Path,
    index_path: Path,
    utterances_path: Path,
    config: ProbesConfig,
    target_json: Path,
    target_probe: Path,
) -> None:
    """Probe one layer and write what was found and the CTC probe; equal seeds give equal files.

    Args:
        states_path: States, ``layer<number>.safetensors``.
        index_path: Their index.
        utterances_path: The probe utterances with split, text, energy and pitch.
        config: Settings of the probes.
        target_json: Result, as JSON: ``layer``, ``width``, ``utterances`` {train, test}, ``frames``, ``energy``,
            ``pitch``, ``boc`` (see :func:`ridge_results`) and ``ctc`` (see :func:`ctc_result`).
        target_probe: The CTC probe, for :func:`~.ctc.read_ctc_probe`.

    Raises:
        StudyError: The files do not fit each other, or the states hold what is no number.
    """
    number = re.search(r"\d+$", states_path.stem)
    if not number:
        raise StudyError(f"{states_path} does not say which layer it is: name it layer<number>.safetensors")
    states = States(states_path)
    index, table, utterances = _read(index_path, utterances_path, states, config.ctc.characters)
    means = pooled(states, index)
    if not np.isfinite(means).all():
        raise StudyError(f"{states_path} holds states that are not numbers: capture them again in wider arithmetic")
    energy, pitch = (table[name].cast(pl.Float64).to_numpy()[:, None] for name in ("energy_db", "log_f0"))
    boc = np.array([utterances.alphabet.frequencies(text) for text in utterances.texts])
    ctc, probe = ctc_result(Frames(states, index), utterances, config)
    result = {
        "layer": int(number.group()),
        "width": states.width,
        "utterances": {"train": int(utterances.train.sum()), "test": int((~utterances.train).sum())},
        "frames": states.rows,
        **ridge_results(means, {"energy": energy, "pitch": pitch, "boc": boc}, utterances, config),
        "ctc": ctc,
    }
    probe.write(target_probe, {"layer": number.group(), "reason": ctc["reason"] or ""})
    write_text(target_json, json.dumps(result, indent=2, allow_nan=False) + "\n")


def _read(
    index_path: Path, utterances_path: Path, states: States, characters: int
) -> tuple[pl.DataFrame, pl.DataFrame, Utterances]:
    """Index and utterances, both in the order of the utterances table, whatever the order of the states."""
    index = read_index(index_path, states).sort("utterance")
    known = pl.read_parquet(utterances_path).with_row_index("utterance").cast({"utterance": pl.Int64})
    table = index.join(known, on=["utterance", "task", "id", "voice"], how="left", maintain_order="left")
    if table["split"].null_count():
        raise StudyError(f"{index_path} lists other utterances than {utterances_path}: capture the states again")
    if not index.height or not index["frames"].min():
        raise StudyError(f"{index_path} lists an utterance without states, or none: capture the states again")
    alphabet = Alphabet.of(table.filter(split="train")["text"], characters)
    if not alphabet.characters:
        raise StudyError(f"no training utterance of {utterances_path} has a text: draw the utterances again")
    items = [f"{task}/{name}" for task, name in table.select("task", "id").iter_rows()]
    train = (table["split"] == "train").to_numpy()
    if train.all():
        raise StudyError(f"no utterance of {utterances_path} tests: raise mechanism.states.per_task")
    return index, table, Utterances(items, table["text"].to_list(), train, alphabet)


def ridge_results(
    means: Floats, targets: Mapping[str, Floats], utterances: Utterances, config: ProbesConfig
) -> dict[str, dict[str, Any]]:
    """Ridge probes of several targets.

    Args:
        means: Mean states (utterances, width).
        targets: Targets by name (utterances, columns); the columns of one share a penalty. A NaN leaves a row out.
        utterances: The utterances.
        config: Settings.

    Returns:
        By target: ``r2`` on the test part against the training mean, with its interval ``low`` and ``high`` (jackknife
        over items); against the test mean, as scikit-learn has it, ``r2_of_test``, weighted by the columns' variance,
        and ``r2_uniform``, the mean over columns that vary; the ``penalty``; ``shuffled``, the
        same R2 of probes trained on targets shuffled among the training utterances; ``selectivity``, ``r2`` minus
        their mean; utterances that ``train``, ``test`` and are ``left_out``; and the ``reason`` why a value is null.
    """
    sets: dict[bytes, list[str]] = {}
    for name, values in targets.items():
        sets.setdefault(np.isfinite(values).all(axis=1).tobytes(), []).append(name)
    results: dict[str, dict[str, Any]] = {}
    for mask, names in sets.items():
        kept = np.frombuffer(mask, dtype=bool)
        results |= _same_utterances(means, {name: targets[name] for name in names}, kept, utterances, config)
    return {name: results[name] for name in targets}


def _same_utterances(
    means: Floats, targets: Mapping[str, Floats], kept: np.ndarray, utterances: Utterances, config: ProbesConfig
) -> dict[str, dict[str, Any]]:
    """Ridge probes of targets that the same utterances have."""
    rows, tests = np.flatnonzero(kept & utterances.train), np.flatnonzero(kept & ~utterances.train)
    learnt, judged = ([utterances.items[row] for row in part.tolist()] for part in (rows, tests))
    counts = {"train": len(rows), "test": len(tests), "left_out": int((~kept).sum())}
    if len(set(learnt)) < ENOUGH or len(tests) < ENOUGH:
        reason = f"too few utterances have this target: {len(rows)} to train on, {len(tests)} to test"
        missing = dict.fromkeys(("r2", "r2_of_test", "r2_uniform", "penalty", "selectivity", "low", "high"))
        return {name: missing | {"shuffled": []} | counts | {"reason": reason} for name in targets}
    rng = np.random.default_rng(config.seed)
    orders = [rows, *(rng.permutation(rows) for _ in range(config.shuffles))]
    blocks = [values[order] for values in targets.values() for order in orders]
    widths = [block.shape[1] for block in blocks]
    prediction = fit_predict(
        means[rows],
        np.concatenate(blocks, axis=1),
        means[tests],
        blocks=np.repeat(np.arange(len(blocks)), widths).tolist(),
        folds=item_folds(learnt, config.folds, config.seed),
        penalties=config.penalties,
    )
    starts = np.cumsum([0, *widths]).tolist()
    items = Clusters.of(judged)
    results = {}
    for place, (name, values) in enumerate(targets.items()):
        first = place * len(orders)
        predicted = [prediction.values[:, starts[at] : starts[at + 1]] for at in range(first, first + len(orders))]
        centre = values[rows].mean(axis=0)
        own, *twins = (r_squared(values[tests], block, centre, items) for block in predicted)
        found = estimate({"r2": own}, items.count, CONFIDENCE)["r2"]
        shuffled = [value for twin in twins if (value := _value(twin, items.count)) is not None]
        results[name] = {
            "r2": found.value,
            "r2_of_test": r_squared_of_test(values[tests], predicted[0]),
            "r2_uniform": r_squared_of_test(values[tests], predicted[0], uniform=True),
            "penalty": float(prediction.penalties[starts[first]]),
            "shuffled": shuffled,
            "selectivity": None if found.value is None else found.value - float(np.mean(shuffled)),
            **counts,
            "low": found.low,
            "high": found.high,
            "reason": found.reason,
        }
    return results


def ctc_result(frames: Frames, utterances: Utterances, config: ProbesConfig) -> tuple[dict[str, Any], CtcProbe]:
    """The CTC probe and its controls.

    Characters outside the alphabet are left out of what is to be said and of what it is compared with.

    Args:
        frames: Frames of the utterances.
        utterances: The utterances, in the same order.
        config: Settings.

    Returns:
        The result and the probe. ``decodability``, max(0, 1 - CER) over the test utterances, with its interval ``low``
        and ``high`` (jackknife over items); the ``cer`` itself; ``shuffled`` and ``prior``, the decodability of probes
        that learnt other utterances' texts, or saw a constant in place of the states; ``feasible_share``, the share of
        all utterances with enough outputs for their text; ``epochs`` run; ``label_entropy`` in nats and
        ``blank_share`` of the best labels over the training frames; ``alphabet``, ``upsample``, and the ``reason`` why
        a value is null.
    """
    alphabet, upsample = utterances.alphabet, config.ctc.upsample
    labels = [alphabet.labels(text) for text in utterances.texts]
    possible = [feasible(count, upsample, said) for count, said in zip(frames.counts, labels, strict=True)]
    learners, tests = utterances.places(train=True), utterances.places(train=False)
    rng = np.random.default_rng(config.seed)
    # Utterances that cannot be said would be no use for stopping early.
    names = sorted({utterances.items[place] for place in learners if possible[place]})
    held_out = {*rng.permutation(names)[: max(1, round(VALIDATION * len(names)))]} if len(names) >= ENOUGH else {}
    train, validation = ([p for p in learners if (utterances.items[p] in held_out) is out] for out in (False, True))
    shuffled = list(labels)
    for place, other in zip(learners, rng.permutation(learners), strict=True):
        shuffled[place] = labels[other]
    lessons = [Lesson(labels), Lesson(shuffled), Lesson(labels, hears=False)]
    taught, *controls = train_probes(frames, lessons, train, validation, alphabet, config.ctc, config.seed)
    items = Clusters.of([utterances.items[place] for place in tests])
    cer, *twins = _error_rates(frames, [taught, *controls], utterances, tests, items)
    found = estimate({"decodability": _decodability(cer)}, items.count, CONFIDENCE)["decodability"]
    learnt = found.value is not None and taught.reason is None
    labelled = torch.zeros(alphabet.blank + 1, dtype=torch.int64)
    for _, joined in frames.pieces(learners):
        labelled += torch.bincount(taught.probe.labels(joined), minlength=len(labelled))
    shares = labelled.double() / labelled.sum()
    fellows = [
        _value(_decodability(twin), items.count) if learnt and control.reason is None else None
        for twin, control in zip(twins, controls, strict=True)
    ]
    return {
        "decodability": found.value if learnt else None,
        "cer": _value(cer, items.count) if learnt else None,
        "low": found.low if learnt else None,
        "high": found.high if learnt else None,
        "shuffled": fellows[0],
        "prior": fellows[1],
        "feasible_share": sum(possible) / len(possible),
        "epochs": taught.epochs,
        "label_entropy": float(torch.special.entr(shares).sum()),
        "blank_share": float(shares[alphabet.blank]),
        "alphabet": alphabet.characters,
        "upsample": upsample,
        "reason": taught.reason or found.reason,
    }, taught.probe


def _error_rates(
    frames: Frames, taught: Sequence[Taught], utterances: Utterances, tests: Sequence[int], items: Clusters
) -> list[Statistic]:
    """Character error rate of each probe on the test utterances."""
    heard: list[list[str]] = [[] for _ in taught]
    for piece, joined in frames.pieces(tests):
        for states in joined.split([frames.counts[place] for place in piece]):
            for texts, each in zip(heard, taught, strict=True):
                texts.append(each.probe.decode(states))
    said = [utterances.alphabet.clean(utterances.texts[place]) for place in tests]
    rates = []
    for texts in heard:
        counted = [character_errors(*pair) for pair in zip(said, texts, strict=True)]
        characters, errors = (items.totals([row[part] for row in counted]) for part in (0, 1))
        rates.append(_rate(errors, characters, items))
    return rates


def _decodability(cer: Statistic) -> Statistic:
    """Text decodability, max(0, 1 - CER)."""

    def interval() -> Interval:
        assert cer.interval is not None
        errors = cer.interval()

        def limits(confidence: float) -> tuple[float, float]:
            low, high = errors.limits(confidence)
            return max(0.0, 1 - high), max(0.0, 1 - low)

        nothing = None if errors.reason or errors.limits(CONFIDENCE)[0] < 1 else NOTHING_READ
        return Interval(limits, -errors.influence, errors.reason or nothing)

    return Statistic(lambda weights: np.maximum(0, 1 - cer.of(weights)), cer.undefined, interval)


def _rate(errors: Floats, characters: Floats, items: Clusters) -> Statistic:
    def of(weights: Floats) -> Floats:
        bottom = weights @ characters
        return np.divide(weights @ errors, bottom, out=np.full(len(weights), np.nan), where=bottom > 0)

    return smooth(of, items, "the test utterances have no characters")


def _value(statistic: Statistic, groups: int) -> float | None:
    """A statistic on the data as they are; None where it does not exist."""
    value = value_of(statistic, groups)
    return None if math.isnan(value) else value
