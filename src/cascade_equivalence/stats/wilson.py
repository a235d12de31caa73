"""Score interval of a share whose rows belong to groups, such as the error overlap of six voices a text.

Wilson's interval (1927) holds the shares v that the score test does not reject: of n rows, s with the property,

    |s - n v| <= z sqrt(n v (1 - v)).

For groups of rows the variance is that of the group totals at the same v (Rao & Scott 1992), as
``RatioEstimator.null_variance`` has it, and never below that of independent rows: that few groups differ less is luck.

A percentile interval of the bootstrap ends where the data end. Of a share near 1, with few groups that depart from it,
it is too short too often, and it has no width where none does; this one has a width there.
"""

from cascade_equivalence.stats import tango
from cascade_equivalence.stats.clustered import RatioEstimator


def interval(share: RatioEstimator, confidence: float) -> tuple[float, float]:
    """The shares that the score test does not reject.

    Args:
        share: The share as a ratio of sums, with a numerator in [0, 1] and a denominator of 1 in each of at least one
            row. Numerators between 0 and 1 vary less than those that are 0 or 1; the variance is scaled accordingly.
        confidence: Level of the interval, in (0, 1).

    Returns:
        Lower and upper limit, in [0, 1]; Wilson's interval where every group has one row, or where all rows of a group
        are alike and groups are equally large, that of the groups.
    """
    rows = len(share.top)
    most = rows * share.value * (1 - share.value)
    residuals = share.top - share.value
    scale = min(1.0, float(residuals @ residuals) / most) if most > 0 else 1.0

    def score(supposed: float) -> float:
        independent = scale * rows * supposed * (1 - supposed)
        variance = max(independent, share.null_variance(supposed, independent))
        return tango.standardise(rows * (share.value - supposed), variance)

    return tango.invert(score, share.value, (0.0, 1.0), confidence)
