"""Acoustic surplus: what the audio says of the label beyond the transcript (paper section 2.1, equation 1), in bits.

The paper's surplus is I(A; Y) - I(T; Y). The transcript T is made from the audio A, so it equals I(A; Y | T), which the
paper calls (almost) nothing on text-sufficient tasks. Here it is measured as usable information (V-information; Xu et
al. 2020): by how much the log-loss of a family of classifiers falls when it may read the audio features as well,

    surplus = H_V(Y | T) - H_V(Y | T, A), on rows that no part of the classifier was fitted on.

The classifiers are nested. Each step adds a linear map of more features to the log-probabilities of the step before,
softmax(earlier + X W), with a ridge penalty:

    prior (class frequencies)  ->  transcript  ->  transcript and audio
                               ->  audio

so a step can always be ignored: inner cross-validation takes the strongest penalty, an infinite one included, that is
within one standard error of the best (Breiman et al. 1984). Where the audio adds nothing, the surplus is therefore
about 0 and not far below. What a step starts from was predicted for rows it was not fitted on (stacked generalisation;
Wolpert 1992), or else an overfitted transcript step would leave nothing to explain. All folds, outer and inner, keep
groups whole: a text (or dialogue, or show) is never on both sides, whoever speaks it.

It is what this family finds: information that it cannot use is not counted, so "none shown" is no proof of sufficiency.
The intervals draw whole groups and take the fitted classifiers as given. The null has the same audio given to other
items, and needs no such assumption.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from scipy.special import log_softmax

from cascade_equivalence.stats.bootstrap import Clusters, Estimate, Floats, estimate
from cascade_equivalence.stats.mean import mean

Rows = NDArray[np.intp]
Matrix: TypeAlias = Floats | sparse.csr_array
Features = Callable[[Rows], Matrix]
"""Training rows -> features of all rows, (rows, width); whatever is learned of them comes from the training rows."""

TEXT_PENALTIES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
"""On TF-IDF rows of length 1, strongest first: a later fit starts from the one before."""
AUDIO_PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3)
"""On standardised features, strongest first."""
LEAST_GROUPS = 3
"""One to test on, and two to choose penalties with."""
INFORMATION = ("text", "audio", "both", "surplus")


@dataclass(frozen=True)
class Sample:
    """Labelled rows: an item in a voice each.

    Attributes:
        text: Features of the transcript.
        audio: Features of the audio, finite, (rows, width).
        gold: Code of the label, (rows,).
        clusters: The group of each row; folds and intervals keep groups whole.
        items: Number of the item of each row, (rows,); the null moves an item's audio as a whole, all its voices.
        voices: Number of the voice of each row, (rows,); each item has a voice once.
    """

    text: Features
    audio: Floats
    gold: Rows
    clusters: Clusters
    items: Rows
    voices: Rows


@dataclass(frozen=True)
class Step:
    """Log-probabilities of one step, (rows, labels) each.

    Attributes:
        inner: Of training rows, each by a fit without its inner fold.
        outer: Of all rows, by the fit on all training rows.
    """

    inner: Floats
    outer: Floats


def standardised(values: Floats) -> Features:
    """Features with mean 0 and standard deviation 1 over the training rows; 0 where they do not vary there."""

    def of(train: Rows) -> Floats:
        part = values[train]
        spread = part.std(axis=0)
        varies = spread > 1e-12 * np.abs(part).max(axis=0, initial=0)
        return np.divide(values - part.mean(axis=0), spread, out=np.zeros_like(values), where=varies)

    return of


def fit(features: Matrix, gold: Rows, offset: Floats, penalty: float, start: Floats) -> Floats:
    """Fit a multinomial logistic regression with an offset and a ridge penalty.

    W minimises the mean over rows of -log softmax(offset + X W)[gold], plus penalty / 2 * ||W||^2.

    Args:
        features: X, (rows, width).
        gold: Code of the label, (rows,).
        offset: (rows, labels).
        penalty: Ridge penalty.
        start: Where the search starts, (width, labels); the objective is convex.

    Returns:
        W, (width, labels).
    """
    rows = len(offset)
    picked = (np.arange(rows), gold)

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(start.shape)
        log_p = log_softmax(offset + features @ weights, axis=1)
        residual = np.exp(log_p)
        residual[picked] -= 1
        gradient = features.T @ residual / rows + penalty * weights
        return float(penalty / 2 * (flat @ flat) - log_p[picked].mean()), gradient.ravel()

    options = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-7}
    found = optimize.minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(start.shape)


def deal(gold: Rows, clusters: Clusters, rows: Rows, folds: int, generator: np.random.Generator) -> list[Rows]:
    """Deal whole groups into folds, those with one commonest label in turn.

    Args:
        gold: Code of the label of each row of the sample.
        clusters: Group of each row of the sample.
        rows: The rows to deal.
        folds: Number of folds; fewer where there are fewer groups.
        generator: Shuffles the groups.

    Returns:
        The rows of each fold, ascending.
    """
    groups = np.unique(clusters.index[rows])
    counts = np.zeros((clusters.count, int(gold.max()) + 1))
    np.add.at(counts, (clusters.index[rows], gold[rows]), 1)
    shuffled = generator.permutation(groups)
    ordered = shuffled[np.argsort(counts[shuffled].argmax(axis=1), kind="stable")]
    fold_of = np.zeros(clusters.count, dtype=np.intp)
    fold_of[ordered] = np.arange(len(ordered)) % min(folds, len(ordered))
    dealt = fold_of[clusters.index[rows]]
    return [rows[dealt == fold] for fold in range(min(folds, len(ordered)))]


def log_prior(gold: Rows, labels: int) -> Floats:
    """Logarithm of the labels' shares, (labels,); one is added to each count (Laplace), so that none is impossible."""
    counts = np.bincount(gold, minlength=labels) + 1.0
    return np.log(counts / counts.sum())


@dataclass(frozen=True)
class Split:
    """One outer fold.

    Attributes:
        train: Rows that train.
        test: Rows that test.
        inner: Inner folds of the training rows.
        prior: The step every other begins with.
    """

    train: Rows
    test: Rows
    inner: Sequence[Rows]
    prior: Step


def splits(sample: Sample, folds: int, seed: int) -> list[Split]:
    """The outer folds of a sample, each with its inner folds."""
    labels = int(sample.gold.max()) + 1
    everything = np.arange(len(sample.gold))
    generator = np.random.default_rng(seed)
    found = []
    for test in deal(sample.gold, sample.clusters, everything, folds, generator):
        train = np.setdiff1d(everything, test, assume_unique=True)
        inner = deal(sample.gold, sample.clusters, train, folds, generator)
        start = np.zeros((len(everything), labels))
        for held in inner:
            start[held] = log_prior(sample.gold[np.setdiff1d(train, held, assume_unique=True)], labels)
        prior = Step(start, np.tile(log_prior(sample.gold[train], labels), (len(everything), 1)))
        found.append(Split(train, test, inner, prior))
    return found


def step(features: Features, sample: Sample, split: Split, earlier: Step, penalties: Sequence[float]) -> Step:
    """Add features to a step.

    Args:
        features: What is added.
        sample: The rows.
        split: The outer fold.
        earlier: The step to add to.
        penalties: Penalties to choose from, strongest first.

    Returns:
        The new step; the earlier one where it is within one standard error of the best.
    """
    gold, rows = sample.gold, split.train
    inner = np.stack([earlier.inner] * (1 + len(penalties)))
    for held in split.inner:
        train = np.setdiff1d(rows, held, assume_unique=True)
        table = features(train)
        for place, weights in enumerate(_path(table[train], gold[train], earlier.inner[train], penalties)):
            inner[1 + place, held] = log_softmax(earlier.inner[held] + table[held] @ weights, axis=1)
    likely = inner[:, rows, gold[rows]]
    lost = likely[likely.mean(axis=1).argmax()] - likely
    groups = sample.clusters.index[rows]
    chosen = next(place for place, each in enumerate(lost) if each.mean() <= _standard_error(each, groups))
    if not chosen:
        return earlier
    table = features(rows)
    weights = _path(table[rows], gold[rows], earlier.inner[rows], penalties[:chosen])[-1]
    return Step(inner[chosen], log_softmax(earlier.outer + table @ weights, axis=1))


def _standard_error(values: Floats, groups: Rows) -> float:
    """Standard error of a mean over rows whose groups are independent."""
    totals = np.bincount(groups, values - values.mean())
    count = len(np.unique(groups))
    return float(np.sqrt(totals @ totals * count / (count - 1)) / len(values))


def _path(features: Matrix, gold: Rows, offset: Floats, penalties: Sequence[float]) -> list[Floats]:
    """Fits from the strongest penalty on, each from where the one before ended."""
    weights = np.zeros((features.shape[1], offset.shape[1]))
    return [weights := fit(features, gold, offset, penalty, weights) for penalty in penalties]


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
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure what audio says of the label beyond the transcript.

    Args:
        sample: Labelled rows.
        folds: Outer and inner folds; fewer where there are fewer groups.
        permutations: How often the null exchanges the audio of items.
        draws: Bootstrap draws of whole groups.
        confidence: Level of the intervals.
        seed: Seed of folds, exchanges and draws.

    Returns:
        As JSON holds it; information in bits, each an ``Estimate`` as a dict, all from the same draws:

        - ``rows``, ``groups``, ``labels`` (those that occur), ``folds`` (outer ones)
        - ``h_y``: log-loss of the label frequencies of the training rows
        - ``text``, ``audio``, ``both``: by how much a transcript, audio features, and both lower it
        - ``surplus``: ``both`` minus ``text``; negative where the audio led the classifier astray
        - ``permuted``: {low, high, values}: the surplus where items exchanged their audio, and its range
        - ``verdict``: ``shown`` (the value lies above the permuted range, and its interval above 0), ``apparent`` (the
          value lies above the range, but the interval reaches 0), ``none shown``, or ``undefined`` with its ``reason``
        - ``bootstrap`` {draws, confidence, seed}
    """
    codes, gold = np.unique(sample.gold, return_inverse=True)
    sample = replace(sample, gold=gold.astype(np.intp))
    count = sample.clusters.count
    head = {"rows": len(gold), "groups": count, "labels": len(codes)}
    tail = {"bootstrap": {"draws": draws, "confidence": confidence, "seed": seed}}
    if reason := _undefined(len(codes), count):
        nothing = {"value": None, "low": None, "high": None, "undefined_draws": 0, "reason": reason}
        unknown = {name: dict(nothing) for name in ("h_y", *INFORMATION)}
        permuted: dict[str, Any] = {"low": None, "high": None, "values": []}
        return {**head, "folds": 0, **unknown, "permuted": permuted, "verdict": "undefined", "reason": reason, **tail}

    parts = splits(sample, folds, seed)
    losses, from_text = _losses(sample, parts)
    gains = {
        "h_y": losses["prior"],
        **{name: losses["prior"] - losses[name] for name in ("text", "audio", "both")},
        "surplus": losses["text"] - losses["both"],
    }
    statistics = {name: mean(sample.clusters, values, "there are no rows") for name, values in gains.items()}
    found = estimate(statistics, count, draws=draws, confidence=confidence, seed=seed)
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
        "permuted": {"low": min(null), "high": max(null), "values": null},
        "verdict": _verdict(found["surplus"], null),
        "reason": None,
        **tail,
    }


def _undefined(labels: int, groups: int) -> str | None:
    """Why nothing can be measured, if so."""
    if labels <= 1:
        return "all rows have the same label, so there is nothing to know of it"
    if groups < LEAST_GROUPS:
        return f"{groups} groups are too few: whole groups train, choose a penalty and test"
    return None


def _verdict(found: Estimate, null: Sequence[float]) -> str:
    assert found.value is not None and found.low is not None
    if found.value <= max(0.0, *null):
        return "none shown"
    return "shown" if found.low > 0 else "apparent"


def _losses(sample: Sample, parts: Sequence[Split]) -> tuple[dict[str, Floats], list[Step]]:
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


def _loss_of(audio: Features, sample: Sample, parts: Sequence[Split], earlier: Sequence[Step]) -> Floats:
    """Log-loss in bits of each row once audio is added to a step."""
    pairs = zip(parts, earlier, strict=True)
    return _held_out(sample, parts, [step(audio, sample, part, base, AUDIO_PENALTIES) for part, base in pairs])


def _held_out(sample: Sample, parts: Sequence[Split], steps: Sequence[Step]) -> Floats:
    losses = np.zeros(len(sample.gold))
    for part, each in zip(parts, steps, strict=True):
        losses[part.test] = -each.outer[part.test, sample.gold[part.test]] / np.log(2)
    return losses
