"""McNemar's test of whether one system is right more often (McNemar 1947), and the correction for many tests.

The test takes rows as independent. Where several voices speak one text they are not, so read it beside the cluster
interval of the accuracy difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

EXACT_BELOW = 25


@dataclass(frozen=True)
class McNemar:
    """Result of one test.

    Attributes:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
        p: Two-sided p-value.
        method: How p was computed.
    """

    b: int
    c: int
    p: float
    method: str


def mcnemar(b: int, c: int) -> McNemar:
    """Test whether two systems are right equally often on the same rows.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.

    Returns:
        The exact binomial test below 25 discordant rows, else chi-square with Edwards' continuity correction (which
        never pushes the statistic past zero, so b = c gives p = 1).
    """
    discordant = b + c
    if discordant == 0:
        return McNemar(b, c, 1.0, "no discordant rows")
    if discordant < EXACT_BELOW:
        return McNemar(b, c, min(1.0, 2 * float(stats.binom.cdf(min(b, c), discordant, 0.5))), "exact binomial")
    statistic = max(abs(b - c) - 1, 0) ** 2 / discordant
    return McNemar(b, c, float(stats.chi2.sf(statistic, 1)), "chi-square with continuity correction")


def adjust(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values of one family for the false discovery rate (Benjamini & Hochberg 1995).

    Args:
        p_values: P-values; None where there was no test.

    Returns:
        Adjusted p-values in the same order; None stays None and does not count as a test.
    """
    tested = [p for p in p_values if p is not None]
    adjusted = iter(stats.false_discovery_control(np.array(tested), method="bh").tolist() if tested else [])
    return [None if p is None else next(adjusted) for p in p_values]
