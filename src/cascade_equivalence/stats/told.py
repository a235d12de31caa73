"""The label that the sound of a clip suggests, by a classifier that was trained on other groups."""

import numpy as np

from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.nested import Rows, Sample, splits, standardised, step
from cascade_equivalence.stats.surplus import AUDIO_PENALTIES, LEAST_GROUPS

NOT_TOLD = -1


def told_labels(audio: Floats, gold: Rows, clusters: Clusters, folds: int, seed: int) -> Rows:
    """Guess the label of each row by the classifier of the acoustic surplus, from the rows of other groups alone.

    Args:
        audio: Finite features of the sound, (rows, width).
        gold: Code of the label, (rows,).
        clusters: The group of each row; no row of its group trains what guesses its label.
        folds: Outer and inner folds; fewer where there are fewer groups.
        seed: Seed of the folds.

    Returns:
        Codes, (rows,); ``NOT_TOLD`` where the classifier that predicts held-out groups best is the one that ignores
        the sound: it would give all rows one label, the one that is rarest in their own fold.
    """
    told = np.full(len(gold), NOT_TOLD, dtype=np.intp)
    if clusters.count < LEAST_GROUPS or len(np.unique(gold)) < 2:  # noqa: PLR2004 - nothing to tell apart
        return told
    features = standardised(audio)
    places = np.arange(len(gold))
    sample = Sample(features, audio, gold, clusters, places, np.zeros_like(places))
    for part in splits(sample, folds, seed):
        found = step(features, sample, part, part.prior, AUDIO_PENALTIES)
        if found is not part.prior:
            told[part.test] = found.outer[part.test].argmax(axis=1)
    return told
