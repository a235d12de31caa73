"""What Cohen's kappa cannot say alone: how large it could be, and agreement by other notions of chance.

Kappa falls with uneven or differing margins as well as with disagreement (Feinstein & Cicchetti 1990). Three numbers
stand beside it, with matches m, category counts a_k and b_k of the two systems, n rows and K categories:

- kappa max (Cohen 1960): the largest kappa of two systems with these margins, whose matches are at most
  sum_k min(a_k, b_k). It is 1 exactly where the margins are equal, and 0 where one system gave a single answer or the
  two had none in common.
- PABAK, prevalence-adjusted bias-adjusted kappa (Byrt, Bishop & Carlin 1993): chance is 1/K whatever the margins,
  (K m/n - 1) / (K - 1).
- AC1 (Gwet 2008): chance is sum_k pi_k (1 - pi_k) / (K - 1) with pi_k = (a_k + b_k) / 2n, which is least where one
  answer prevails.

K is the number of declared labels, whether or not they occur, and one more if any answer of either system is
``invalid``. It is counted on the data as they are and stays the same in every draw. Open answers have no K.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cascade_equivalence.stats.agreement import UNDEFINED, cohen_kappa, margins, split_margins
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.intervals import above_chance, share
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate, Interval, Statistic, from_sums

OPEN = "open answers have no fixed number of categories"
ONE_CATEGORY = "there is only one category, so agreement is certain"
NAMES = ("kappa_max", "pabak", "ac1")


def kappa_max(paired: Paired) -> Statistic:
    """The largest kappa that the two systems' margins allow; it describes these margins and has no interval."""

    def formula(sums: Floats) -> Floats:
        _, system, reference = split_margins(sums)
        return cohen_kappa(np.minimum(system, reference).sum(axis=-1), system, reference)

    return from_sums(margins(paired), formula, UNDEFINED)


def pabak(paired: Paired) -> Statistic:
    """Kappa if all categories were equally likely by chance; for closed label sets."""
    count = category_count(paired)

    def formula(sums: Floats) -> Floats:
        matches, rows = sums.T
        return _share(count * matches - rows, (count - 1) * rows)

    def interval() -> Interval:
        agreed = share(paired.clusters, paired.system == paired.reference, ONE_CATEGORY).interval
        assert agreed is not None
        found, room = agreed(), (count - 1) / count

        def limits(confidence: float) -> tuple[float, float]:
            low, high = found.limits(confidence)
            return (low - 1 / count) / room, (high - 1 / count) / room

        return Interval(limits, found.influence / room, found.groups, found.reason)

    return from_sums(_matches_and_rows(paired), formula, ONE_CATEGORY, interval)


def ac1(paired: Paired) -> Statistic:
    """Gwet's AC1; for closed label sets."""
    count = category_count(paired)
    clusters, codes = paired.clusters, len(paired.categories)
    both = (clusters.tally(paired.system, codes) + clusters.tally(paired.reference, codes)).toarray()

    def formula(sums: Floats) -> Floats:
        matches, rows = sums[:, 0], sums[:, 1]
        # Chance agreement, times 4 n^2 (K - 1) to stay in whole numbers.
        by_chance = 4 * rows**2 - (sums[:, 2:] ** 2).sum(axis=1)
        return _share(4 * (count - 1) * rows * matches - by_chance, 4 * (count - 1) * rows**2 - by_chance)

    def interval() -> Interval:
        # Chance is sum pi_k (1 - pi_k) / (K - 1); a row moves pi at its two answers, by half each.
        width = len(paired.categories)
        counts = np.bincount(np.concatenate([paired.system, paired.reference]), minlength=width)
        shares = counts / (2 * len(paired.system))
        mean, slope = float(shares @ (1 - shares)), 1 - 2 * shares
        own = (slope[paired.system] + slope[paired.reference]) / 2 - float(shares @ slope)
        return above_chance(paired.system == paired.reference, (mean + own) / (count - 1), clusters)

    return from_sums(np.hstack([_matches_and_rows(paired), both]), formula, ONE_CATEGORY, interval)


def category_count(paired: Paired) -> int:
    """K of a closed label set: the declared labels, and one more if ``invalid`` occurs."""
    occurs = (paired.system == paired.invalid).any() or (paired.reference == paired.invalid).any()
    return paired.invalid + int(occurs)


def index_statistics(paired: Paired, *, closed: bool) -> dict[str, Statistic]:
    """Those of the three that exist: kappa max alone for open answers.

    Args:
        paired: Two systems' answers to the same clips.
        closed: Whether the task has a closed label set.
    """
    found = {"kappa_max": kappa_max(paired)}
    return found | {"pabak": pabak(paired), "ac1": ac1(paired)} if closed else found


def why_not(*, closed: bool) -> str | None:
    """Why PABAK and AC1 do not exist; None where they do."""
    return None if closed else OPEN


def indices(found: Mapping[str, Estimate], *, closed: bool) -> dict[str, dict[str, Any]]:
    """The three as a node writes them.

    Args:
        found: Estimates of ``index_statistics``, among others.
        closed: Whether the task has a closed label set.

    Returns:
        ``kappa_max``, ``pabak``, ``ac1``: each an ``Estimate`` as a dict, without a value where there is none.
    """
    missing = Estimate(None, None, None, why_not(closed=closed))
    return {name: asdict(found.get(name, missing)) for name in NAMES}


def _matches_and_rows(paired: Paired) -> Floats:
    clusters = paired.clusters
    return np.stack(
        [clusters.totals(paired.system == paired.reference), clusters.totals(np.ones(len(paired.system)))], axis=1
    )


def _share(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom != 0)
