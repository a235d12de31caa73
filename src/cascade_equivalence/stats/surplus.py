"""Acoustic surplus: what the audio says of the label beyond the transcript (paper section 2.1, equation 1), in bits.

The paper's surplus is I(A; Y) - I(T; Y). The transcript T is made from the audio A, so it equals I(A; Y | T), which the
paper calls (almost) nothing on text-sufficient tasks. Here it is measured as usable information (V-information; Xu et
al. 2020): by how much the log-loss of a family of classifiers falls when it may read the audio features as well,

    surplus = H_V(Y | T) - H_V(Y | T, A), on rows that no part of the classifier was fitted on.

The classifiers are nested. Each step adds a linear map of more features to the log-probabilities of the step before,
softmax(earlier + X W), with a ridge penalty:

    prior (class frequencies)  ->  transcript  ->  transcript and audio
                               ->  audio

so a step can always be ignored: inner cross-validation takes the penalty that predicts best, an infinite one included.
Where the audio adds nothing, the surplus is therefore about 0 and not far below. What a step starts from was predicted
for rows it was not fitted on (stacked generalisation; Wolpert 1992), or else an overfitted transcript step would leave
nothing to explain. All folds, outer and inner, keep groups whole: a text (or dialogue, or show) is never on both sides,
whoever speaks it.

It is what this family finds from so many texts: information that it cannot use, or needs more texts to learn, is not
counted, so a surplus is at least what is shown, and "none shown" is no proof of sufficiency. The value at half of the
groups tells whether it still grows with them.
The intervals count whole groups and take the fitted classifiers as given. The null has the same audio given to other
items, and needs no such assumption.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.mean import mean
from cascade_equivalence.stats.nested import Features, Fold, Rows, Sample, Step, splits, standardised, step
from cascade_equivalence.stats.statistic import Estimate, estimate

TEXT_PENALTIES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
"""On TF-IDF rows of length 1, strongest first: a later fit starts from the one before."""
AUDIO_PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3)
"""On standardised features, strongest first."""
ROUNDING = 1e-9
"""Bits; values this near are the same."""
HALF = 1 << 20
"""Tells the stream that draws half of the groups from those of the exchanges."""
LEAST_GROUPS = 3
"""One to test on, and two to choose penalties with."""
INFORMATION = ("text", "audio", "both", "surplus")


def moved(sample: Sample, split_rows: Sequence[Rows], generator: np.random.Generator) -> Rows:
    """Which row's audio each row gets when items exchange theirs within each fold.

    All voices of an item move together, each to the same voice of another item: how alike the voices of one item are,
    how a voice sounds and which texts test stay as they were; only what the audio has to do with the label goes.

    Args:
        sample: The rows.
        split_rows: The rows of each fold.
        generator: Draws the exchange.

    Returns:
        A row for each row, (rows,).
    """
    order = np.lexsort((sample.voices, sample.items))
    starts = np.flatnonzero(np.diff(sample.items[order], prepend=-1))
    blocks = np.split(order, starts[1:])
    fold_of = np.zeros(len(order), dtype=np.intp)
    for fold, rows in enumerate(split_rows):
        fold_of[rows] = fold
    alike: dict[tuple[int, ...], list[Rows]] = {}
    for block in blocks:
        alike.setdefault((int(fold_of[block[0]]), *sample.voices[block].tolist()), []).append(block)
    source = np.arange(len(order))
    for key in sorted(alike):
        same = np.stack(alike[key])
        source[same] = same[generator.permutation(len(same))]
    return source


def surplus(
    sample: Sample,
    *,
    folds: int = 5,
    permutations: int = 20,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure what audio says of the label beyond the transcript.

    Args:
        sample: Labelled rows.
        folds: Outer and inner folds; fewer where there are fewer groups.
        permutations: How often the null exchanges the audio of items.
        confidence: Level of the intervals.
        seed: Seed of folds and exchanges.

    Returns:
        As JSON holds it; information in bits, each an ``Estimate`` as a dict:

        - ``rows``, ``groups``, ``labels`` (those that occur), ``folds`` (outer ones)
        - ``h_y``: log-loss of the label frequencies of the training rows
        - ``text``, ``audio``, ``both``: by how much a transcript, audio features, and both lower it
        - ``surplus``: ``both`` minus ``text``; negative where the audio led the classifier astray
        - ``half``: {value, groups}: the surplus that a random half of the groups gives, None where it is undefined
        - ``permuted``: {low, high, values}: the surplus where items exchanged their audio, and its range
        - ``verdict``: ``shown`` (the value lies above the permuted range, and its interval above 0), ``apparent`` (the
          value lies above the range, but the interval reaches 0), ``none shown``, or ``undefined`` with its ``reason``
        - ``confidence``, ``seed``
    """
    codes, gold = np.unique(sample.gold, return_inverse=True)
    sample = replace(sample, gold=gold.astype(np.intp))
    count = sample.clusters.count
    head = {"rows": len(gold), "groups": count, "labels": len(codes)}
    tail = {"confidence": confidence, "seed": seed}
    if reason := _undefined(len(codes), count):
        nothing = {"value": None, "low": None, "high": None, "reason": reason}
        unknown = {name: dict(nothing) for name in ("h_y", *INFORMATION)}
        permuted: dict[str, Any] = {"low": None, "high": None, "values": []}
        half = {"value": None, "groups": 0}
        nothing_found = {"half": half, "permuted": permuted, "verdict": "undefined", "reason": reason}
        return {**head, "folds": 0, **unknown, **nothing_found, **tail}

    parts = splits(sample, folds, seed)
    losses, from_text = _losses(sample, parts)
    gains = {
        "h_y": losses["prior"],
        **{name: losses["prior"] - losses[name] for name in ("text", "audio", "both")},
        "surplus": losses["text"] - losses["both"],
    }
    statistics = {name: mean(sample.clusters, values, "there are no rows") for name, values in gains.items()}
    found = estimate(statistics, count, confidence)
    null = []
    for number in range(permutations):
        generator = np.random.default_rng([seed, number])
        source = moved(sample, [part.test for part in parts], generator)
        both = _loss_of(standardised(sample.audio[source]), sample, parts, from_text)
        null.append(float((losses["text"] - both).mean()))
    return {
        **head,
        "folds": len(parts),
        **{name: asdict(each) for name, each in found.items()},
        "half": _at_half(sample, folds, seed),
        "permuted": {"low": min(null), "high": max(null), "values": null},
        "verdict": _verdict(found["surplus"], null),
        "reason": None,
        **tail,
    }


def _at_half(sample: Sample, folds: int, seed: int) -> dict[str, Any]:
    """The surplus on a random half of the groups: fitted and tested there alone."""
    groups = np.random.default_rng([seed, HALF]).permutation(sample.clusters.count)[: sample.clusters.count // 2]
    rows = np.flatnonzero(np.isin(sample.clusters.index, groups))
    codes, gold = np.unique(sample.gold[rows], return_inverse=True)
    if _undefined(len(codes), len(groups)):
        return {"value": None, "groups": len(groups)}
    part = Sample(
        lambda train: sample.text(rows[train])[rows],
        sample.audio[rows],
        gold.astype(np.intp),
        sample.clusters.among(np.isin(np.arange(len(sample.gold)), rows)),
        sample.items[rows],
        sample.voices[rows],
    )
    parts = splits(part, folds, seed)
    from_text = [step(part.text, part, each, each.prior, TEXT_PENALTIES) for each in parts]
    both = _loss_of(standardised(part.audio), part, parts, from_text)
    return {"value": float((_held_out(part, parts, from_text) - both).mean()), "groups": len(groups)}


def _undefined(labels: int, groups: int) -> str | None:
    """Why nothing can be measured, if so."""
    if labels <= 1:
        return "all rows have the same label, so there is nothing to know of it"
    if groups < LEAST_GROUPS:
        return f"{groups} groups are too few: whole groups train, choose a penalty and test"
    return None


def _verdict(found: Estimate, null: Sequence[float]) -> str:
    assert found.value is not None
    if found.value <= max(0.0, *null) + ROUNDING:
        return "none shown"
    return "shown" if found.low is not None and found.low > 0 else "apparent"


def _losses(sample: Sample, parts: Sequence[Fold]) -> tuple[dict[str, Floats], list[Step]]:
    """Log-loss in bits of each row by each classifier, by fits without its group; and the transcript steps."""
    from_prior = [part.prior for part in parts]
    from_text = [step(sample.text, sample, part, part.prior, TEXT_PENALTIES) for part in parts]
    audio = standardised(sample.audio)
    losses = {
        "prior": _held_out(sample, parts, from_prior),
        "text": _held_out(sample, parts, from_text),
        "audio": _loss_of(audio, sample, parts, from_prior),
        "both": _loss_of(audio, sample, parts, from_text),
    }
    return losses, from_text


def _loss_of(audio: Features, sample: Sample, parts: Sequence[Fold], earlier: Sequence[Step]) -> Floats:
    """Log-loss in bits of each row once audio is added to a step."""
    pairs = zip(parts, earlier, strict=True)
    return _held_out(sample, parts, [step(audio, sample, part, base, AUDIO_PENALTIES) for part, base in pairs])


def _held_out(sample: Sample, parts: Sequence[Fold], steps: Sequence[Step]) -> Floats:
    losses = np.zeros(len(sample.gold))
    for part, each in zip(parts, steps, strict=True):
        losses[part.test] = -each.outer[part.test, sample.gold[part.test]] / np.log(2)
    return losses
