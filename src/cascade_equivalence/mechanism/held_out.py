"""How much of a concept a linear probe reads of utterances that it was not fitted on.

On the rows that it was fitted on, a probe of a concept that is the same throughout an utterance explains most of any
labels, shuffled ones included: there are more directions than utterances. Here utterances are held out in folds of
whole items; a ridge probe of their mean states is fitted on the others, its penalty chosen in inner folds.
"""

from collections.abc import Sequence

import numpy as np

from cascade_equivalence.mechanism.ridge import Floats, explained, fit_predict, item_folds

FOLDS, INNER = 5, 3
FEWEST = 6
"""Items that leave two to fit on and two to choose a penalty with, whichever fold is held out."""
PENALTIES = tuple(10.0**power for power in range(-2, 7))


def held_out_r2(means: Floats, concept: Floats, items: Sequence[str], seed: int) -> float | None:
    """R2 of held-out utterances, against the mean of those that were fitted on.

    Args:
        means: Mean states (utterances, width).
        concept: Columns of the concept (utterances, columns), which share a penalty.
        items: Item of each utterance.
        seed: Seed of the folds.

    Returns:
        At most 1; about 0, or less, where nothing is read; None of few items, or of a concept that does not vary.
    """
    if len(set(items)) < FEWEST:
        return None
    folds = item_folds(items, FOLDS, seed)
    missed = there = 0.0
    for fold in np.unique(folds):
        out = folds == fold
        learnt = [item for item, held in zip(items, out.tolist(), strict=True) if not held]
        judged = [item for item, held in zip(items, out.tolist(), strict=True) if held]
        found = fit_predict(
            means[~out],
            concept[~out],
            means[out],
            blocks=[0] * concept.shape[1],
            folds=item_folds(learnt, INNER, seed),
            penalties=PENALTIES,
        )
        part = explained(concept[out], found.values, concept[~out].mean(axis=0), judged)
        missed, there = missed + float(part.missed.sum()), there + float(part.there.sum())
    return 1 - missed / there if there > 0 else None
