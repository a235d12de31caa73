"""Which utterances say the same: readings of one text are exchanged together, and only with those of other texts.

Open this for how chance pairs utterances: another voice that reads the same text is no other transcript.
"""

from collections.abc import Sequence

import numpy as np


def pairings(count: int, shuffles: int, seed: int) -> list[np.ndarray]:
    """Seeded permutations (count,) that leave nothing in its place, as long as there are two things.

    Each is one random cycle through everything, so that every other utterance is as likely a partner.
    """
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(shuffles):
        cycle = generator.permutation(count)
        partner = np.empty_like(cycle)
        partner[cycle] = np.roll(cycle, 1)
        found.append(partner)
    return found


def text_numbers(texts: Sequence[str]) -> np.ndarray:
    """Number (utterances,) of what each utterance says, by the place where it is said first."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.intp)


def exchanges(numbers: np.ndarray, shuffles: int, seed: int) -> list[np.ndarray]:
    """Pairings of utterances (utterances,) by what they say: readings of one text get those of one other, in turn.

    Where each says something else, they are :func:`pairings` of the utterances.

    Args:
        numbers: What each says, from :func:`text_numbers`.
        shuffles: How many.
        seed: Their seed.
    """
    readings = [np.flatnonzero(numbers == number) for number in range(int(numbers.max(initial=-1)) + 1)]
    found = []
    for partner in pairings(len(readings), shuffles, seed):
        others = np.empty(len(numbers), dtype=np.intp)
        for own, other in zip(readings, partner.tolist(), strict=True):
            others[own] = np.resize(readings[other], len(own))
        found.append(others)
    return found
