"""The label that the sound of a clip suggests, by a classifier that was trained on other groups."""

import numpy as np
from scipy import stats

from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.mean import is_off_zero
from cascade_equivalence.stats.nested import Rows, Sample, splits, standardised, step
from cascade_equivalence.stats.surplus import AUDIO_PENALTIES, LEAST_GROUPS

NOT_TOLD = -1
LEVEL = 0.05
"""How often, at most, a fold of sounds that have nothing to do with the label is to be told one."""


def told_labels(audio: Floats, gold: Rows, clusters: Clusters, folds: int, seed: int) -> Rows:
    """Guess the label of each row by the classifier of the acoustic surplus, from the rows of other groups alone.

    Args:
        audio: Finite features of the sound, (rows, width).
        gold: Code of the label, (rows,).
        clusters: The group of each row; no row of its group trains what guesses its label.
        folds: Outer and inner folds; fewer where there are fewer groups.
        seed: Seed of the folds.

    Returns:
        Codes, (rows,); ``NOT_TOLD`` in a fold whose classifier does not predict held-out groups of the training rows
        better than their labels' shares alone do, beyond chance: see ``_finds``.
    """
    told = np.full(len(gold), NOT_TOLD, dtype=np.intp)
    if clusters.count < LEAST_GROUPS or len(np.unique(gold)) < 2:  # noqa: PLR2004 - nothing to tell apart
        return told
    features = standardised(audio)
    places = np.arange(len(gold))
    sample = Sample(features, audio, gold, clusters, places, np.zeros_like(places))
    for part in splits(sample, folds, seed):
        found = step(features, sample, part, part.prior, AUDIO_PENALTIES)
        if found is not part.prior and _finds(found.inner - part.prior.inner, sample, part.train):
            told[part.test] = found.outer[part.test].argmax(axis=1)
    return told


def _finds(gain: Floats, sample: Sample, rows: Rows) -> bool:
    """Whether a classifier beats the labels' shares on held-out groups: a one-sided t test over groups, at 5 %.

    The best of several penalties is better than none on half of all noise; by this much hardly ever.

    Args:
        gain: Log-probabilities of rows by fits without their fold, minus those of the shares, (all rows, labels).
        sample: The rows.
        rows: The training rows.
    """
    groups, index = np.unique(sample.clusters.index[rows], return_inverse=True)
    clusters = Clusters(index.astype(np.intp), len(groups))
    return is_off_zero(clusters, gain[rows, sample.gold[rows]], float(stats.t.isf(LEVEL, len(groups) - 1)))
