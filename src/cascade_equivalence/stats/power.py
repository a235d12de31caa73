"""How much a comparison can show with the items it has: widths of intervals, planned and achieved, and power.

With psi the share of discordant rows, n rows, D the design effect of the accuracy difference and n' = n / D the number
of independent rows that tell as much:

- Smallest difference d that McNemar's test shows: n' d^2 = (z(1 - alpha/2) sqrt(psi) + z(power) sqrt(psi - d^2))^2
  (Connor 1987).
- Equivalence within a margin m, at no true difference: both one-sided tests must reject (Schuirmann 1987). As in the
  sample sizes of Nam (1997) for one of them, with V the variance of a row in the score test at the margin (Tango 1998;
  for groups, ``RatioEstimator.null_variance``),
  power = 2 Phi((m sqrt(n) - z(1 - alpha) sqrt(V)) / sqrt(D psi)) - 1, and
  n m^2 = (z(1 - alpha) sqrt(V) + z((1 + power) / 2) sqrt(D psi))^2.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from cascade_equivalence.stats.clustered import ONE_GROUP, RatioEstimator
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.tango import null_variance

POWER = 0.8
NO_DISCORDANCE = "no row is discordant, so there is nothing to plan from"
TOO_FEW_DISCORDANT = "even if every discordant row favoured one system, no difference would be shown at this power"


def power(
    paired: Paired,
    *,
    found_kappa: Mapping[str, Any],
    found_difference: Mapping[str, Any],
    margin: float,
    confidence: float,
) -> dict[str, Any]:
    """Say how much a comparison can show.

    Args:
        paired: Two systems' answers to the same clips.
        found_kappa: Kappa with its interval, an ``Estimate`` as a dict.
        found_difference: The accuracy difference with its interval, likewise.
        margin: Largest difference of accuracies that is taken as none, as a share.
        confidence: Level of the intervals; tests are at 1 minus it, equivalence is judged by the interval.

    Returns:
        - ``margin``, ``alpha``, ``confidence``
        - ``discordance``: share of rows that only one system got right
        - ``icc``: intra-group correlation of the rows' accuracy difference; ``design_effect`` of their mean
        - ``difference_half_width``: half the interval's width; ``difference_half_width_planned``: if rows were
          independent
        - ``detectable_difference``: smallest that the clustered McNemar's test shows with 80 % power
        - ``equivalence_power``: to show equivalence within the margin at no true difference; ``groups_for_80`` and
          ``groups_for_90``: groups of this size that this power needs
        - ``kappa_design_effect``, ``kappa_half_width``, ``kappa_half_width_planned``: the same for kappa
        - ``reason``: why the entries on the difference that are None are missing
    """
    difference = RatioEstimator.accuracy_difference(paired)
    discordance = float(np.mean(paired.system_correct != paired.reference_correct))
    kappa = RatioEstimator.kappa(paired) if found_kappa["value"] is not None else None
    quantile = float(stats.norm.isf((1 - confidence) / 2))
    alpha = round(1 - confidence, 12)
    several = paired.clusters.count > 1
    found: dict[str, Any] = {
        "margin": margin,
        "alpha": alpha,
        "confidence": confidence,
        "discordance": discordance,
        "icc": intra_group_correlation(difference),
        "design_effect": difference.cautious_design_effect(difference.value) if several and discordance else None,
        "difference_half_width": half_width(found_difference),
        "difference_half_width_planned": quantile * difference.row_error() if discordance else None,
        "detectable_difference": None,
        "equivalence_power": None,
        "groups_for_80": None,
        "groups_for_90": None,
        "kappa_design_effect": kappa.cautious_design_effect(kappa.value) if kappa and several else None,
        "kappa_half_width": half_width(found_kappa),
        "kappa_half_width_planned": quantile * kappa.row_error() if kappa else None,
        "reason": ONE_GROUP if not several else None if discordance else NO_DISCORDANCE,
    }
    if found["reason"]:
        return found
    rows, groups, effect = len(paired.system), paired.clusters.count, found["design_effect"]
    plan = EquivalencePlan(discordance, margin, alpha / 2, effect, difference.copies)
    found["detectable_difference"] = detectable_difference(discordance, rows / effect, alpha)
    found["equivalence_power"] = plan.power(rows)
    for percent in (80, 90):
        found[f"groups_for_{percent}"] = math.ceil(plan.rows(percent / 100) * groups / rows)
    if found["detectable_difference"] is None:
        found["reason"] = TOO_FEW_DISCORDANT
    return found


def half_width(found: Mapping[str, Any]) -> float | None:
    """Half the width of an interval, an ``Estimate`` as a dict; None where there is none."""
    return None if found["low"] is None else (found["high"] - found["low"]) / 2


def intra_group_correlation(estimator: RatioEstimator) -> float | None:
    """Correlation of two rows of one group, from the one-way analysis of variance, for groups of any sizes.

    Returns:
        The estimate, which can be negative (Ridout, Demetrio & Firth 1999); None where no group has two rows, there is
        one group, or all rows are equal.
    """
    values, clusters = estimator.top, estimator.clusters
    sizes = clusters.totals(np.ones(len(values)))
    rows, groups = len(values), clusters.count
    if groups in (1, rows):
        return None
    means = clusters.totals(values) / sizes
    between = float(sizes @ (means - values.mean()) ** 2) / (groups - 1)
    within = float(np.sum((values - means[clusters.index]) ** 2)) / (rows - groups)
    size = (rows - float(sizes @ sizes) / rows) / (groups - 1)
    spread = between + (size - 1) * within
    return (between - within) / spread if spread else None


def detectable_difference(discordance: float, rows: float, alpha: float, wanted: float = POWER) -> float | None:
    """Smallest difference of accuracies that the two-sided McNemar's test shows.

    Args:
        discordance: Share of discordant rows, above 0.
        rows: Independent rows.
        alpha: Level of the test.
        wanted: Power.

    Returns:
        The difference; None where it would exceed the discordance, as no difference can.
    """
    critical, reserve = stats.norm.isf(alpha / 2), stats.norm.ppf(wanted)
    # Connor's equation is quadratic in the difference.
    root = rows + reserve**2 - critical**2
    if root < 0:
        return None
    found = np.sqrt(discordance) * (np.sqrt(rows) * critical + reserve * np.sqrt(root)) / (rows + reserve**2)
    return float(found) if found <= discordance else None


@dataclass(frozen=True)
class EquivalencePlan:
    """What showing equivalence within a margin is planned from, if there is no difference.

    Attributes:
        discordance: Share of discordant rows, above 0.
        margin: Largest difference that is taken as none.
        alpha: Level of each one-sided test.
        effect: Design effect of the accuracy difference.
        copies: The design effect if rows of one group were copies of each other.
    """

    discordance: float
    margin: float
    alpha: float
    effect: float = 1.0
    copies: float = 1.0

    def power(self, rows: float) -> float:
        """Probability that so many rows show equivalence."""
        room = (self.margin * np.sqrt(rows) - self._critical) / np.sqrt(self.effect * self.discordance)
        return max(0.0, 2 * float(stats.norm.cdf(room)) - 1)

    def rows(self, power: float) -> float:
        """Rows that show equivalence with a wanted power."""
        reserve = stats.norm.ppf((1 + power) / 2) * np.sqrt(self.effect * self.discordance)
        return float(((self._critical + reserve) / self.margin) ** 2)

    @property
    def margin_variance(self) -> float:
        """Variance of a row's difference that the score test takes at the margin.

        Seen is the share of discordant rows; what the margin makes expected beyond it counts as copies.
        """
        rows = null_variance(self.discordance / 2, self.discordance / 2, 1, self.margin)
        seen = self.discordance + self.margin**2
        groups = self.effect * self.discordance + self.copies * self.margin**2
        return groups * min(1.0, rows / seen) + self.copies * max(0.0, rows - seen)

    @property
    def _critical(self) -> float:
        return float(stats.norm.isf(self.alpha) * np.sqrt(self.margin_variance))
