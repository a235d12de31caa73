"""Ridge probes of utterances: what their mean states tell of their sound and of their characters.

What has no value for an utterance (the pitch of an unvoiced clip, the bag of a text without a known character) leaves
that utterance out of that probe, in training and in testing; probes with the same utterances share one decomposition.
Energy and pitch are taken within voices: from the mean of the voice's training utterances.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cascade_equivalence.config.mechanism import ProbesConfig
from cascade_equivalence.mechanism.probe_utterances import Floats, Utterances
from cascade_equivalence.mechanism.ridge import (
    CONSTANT_TARGET,
    explained,
    fit_predict,
    item_folds,
    r_squared_of_test,
)
from cascade_equivalence.stats.explained import Explained
from cascade_equivalence.stats.statistic import estimate

CONFIDENCE = 0.95
ENOUGH = 2
"""Items that cross-validation, and utterances that a variance, need at least."""
UNKNOWN = (
    *("r2", "r2_of_test", "r2_uniform", "penalty", "selectivity", "low", "high", "voice_value", "by_item"),
    "by_utterance",
)


@dataclass(frozen=True, eq=False)
class Target:
    """What a probe predicts.

    Attributes:
        values: (utterances, columns), NaN where an utterance has none; the columns share a penalty.
        within: Whether it is taken within voices.
    """

    values: Floats
    within: bool = False

    def of(self, utterances: Utterances) -> Floats:
        """What is predicted, (utterances, columns)."""
        return utterances.within_voices(self.values) if self.within else self.values


def ridge_results(
    means: Floats, targets: Mapping[str, Target], utterances: Utterances, config: ProbesConfig
) -> dict[str, dict[str, Any]]:
    """Ridge probes of several targets.

    Args:
        means: Mean states (utterances, width).
        targets: Targets by name.
        utterances: The utterances.
        config: Settings.

    Returns:
        By target: ``r2`` on the test part against the training mean, of a target within voices against that of the
        voice, with its interval ``low`` and ``high`` (jackknife over items), and ``by_item``, what is ``missed`` of
        what is ``there``, squared, for each of the test ``items``; ``by_utterance``, the same of each utterance, see
        :meth:`~.probe_utterances.Utterances.told_apart`; ``voice_value``, the R2 of the value as it is that
        knowing the voice alone reaches; of a probe of the value as it is, against the test mean, as scikit-learn and
        the paper have it, ``r2_of_test``, weighted by the columns' variance, and ``r2_uniform``, the mean over columns
        that vary; the ``penalty``; ``shuffled``, the same R2 of probes trained on targets shuffled among the training
        utterances of each voice; ``selectivity``, ``r2`` minus their mean; utterances that ``train``, ``test`` and are
        ``left_out``; ``voices_left_out``, those without a training utterance that has a value; and the ``reason`` why
        a value is null.
    """
    sets: dict[bytes, list[str]] = {}
    for name, target in targets.items():
        sets.setdefault(np.isfinite(target.of(utterances)).all(axis=1).tobytes(), []).append(name)
    results: dict[str, dict[str, Any]] = {}
    for mask, names in sets.items():
        kept = np.frombuffer(mask, dtype=bool)
        results |= _same_utterances(means, {name: targets[name] for name in names}, kept, utterances, config)
    return {name: results[name] for name in targets}


def _same_utterances(
    means: Floats, targets: Mapping[str, Target], kept: np.ndarray, utterances: Utterances, config: ProbesConfig
) -> dict[str, dict[str, Any]]:
    """Ridge probes of targets that the same utterances have."""
    rows, tests = np.flatnonzero(kept & utterances.train), np.flatnonzero(kept & ~utterances.train)
    singles = [f"{place:09}" for place in range(len(tests))]
    learnt, judged = ([utterances.items[row] for row in part.tolist()] for part in (rows, tests))
    counts = {"train": len(rows), "test": len(tests), "left_out": int((~kept).sum())}
    about = {name: counts | {"voices_left_out": _left_out(target, utterances)} for name, target in targets.items()}
    if len(set(learnt)) < ENOUGH or len(tests) < ENOUGH:
        reason = f"too few utterances have this target: {len(rows)} to train on, {len(tests)} to test"
        return {name: dict.fromkeys(UNKNOWN) | {"shuffled": []} | about[name] | {"reason": reason} for name in targets}
    rng = np.random.default_rng(config.seed)
    orders = [rows, *(utterances.shuffled(rows, rng) for _ in range(config.shuffles))]
    sought = {name: target.of(utterances) for name, target in targets.items()}
    taught = {name: [sought[name][order] for order in orders] + [targets[name].values[rows]] for name in targets}
    blocks = [block for each in taught.values() for block in each]
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
    predicted = iter([prediction.values[:, start:end] for start, end in pairwise(starts)])
    penalties = iter(prediction.penalties[starts[:-1]].tolist())
    results = {}
    for name, target in targets.items():
        own, *twins, plain = (next(predicted) for _ in taught[name])
        penalty, *_ = [next(penalties) for _ in taught[name]]
        truth, raw = sought[name], target.values
        centre = truth[rows].mean(axis=0)
        judge = [explained(truth[tests], block, centre, judged) for block in (own, *twins)]
        found = estimate({"r2": judge[0].statistic(CONSTANT_TARGET)}, judge[0].count, CONFIDENCE)["r2"]
        shuffled = [value for twin in judge[1:] if (value := _share(twin)) is not None]
        by_voice = utterances.voice_means(raw)[tests]
        known = np.flatnonzero(np.isfinite(by_voice).all(axis=1))
        spoken = [judged[place] for place in known.tolist()]
        results[name] = {
            "r2": found.value,
            "voice_value": _share(explained(raw[tests][known], by_voice[known], raw[rows].mean(axis=0), spoken)),
            "r2_of_test": r_squared_of_test(raw[tests], plain),
            "r2_uniform": r_squared_of_test(raw[tests], plain, uniform=True),
            "penalty": penalty,
            "shuffled": shuffled,
            "selectivity": None if found.value is None else found.value - float(np.mean(shuffled)),
            **about[name],
            "low": found.low,
            "high": found.high,
            "by_item": judge[0].as_json(),
            "by_utterance": utterances.told_apart(tests, explained(truth[tests], own, centre, singles)),
            "reason": found.reason,
        }
    return results


def _left_out(target: Target, utterances: Utterances) -> list[str]:
    """Voices that cannot be told from their training mean, because they have none."""
    if not target.within:
        return []
    without = ~np.isfinite(utterances.voice_means(target.values)).all(axis=1)
    return sorted({utterances.voices[place] for place in np.flatnonzero(without).tolist()})


def _share(found: Explained) -> float | None:
    """The share that is explained; None where there is nothing to explain."""
    value = float(found.share(np.ones((1, found.count)))[0])
    return None if np.isnan(value) else value
