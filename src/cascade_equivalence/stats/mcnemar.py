"""McNemar's test of whether one system is right more often (McNemar 1947), and the correction for many tests.

The tests here take rows as independent. Where several voices speak one text they are not: see ``clustered``.
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
        return McNemar(b, c, exact(b, c), "exact binomial")
    statistic = max(abs(b - c) - 1, 0) ** 2 / discordant
    return McNemar(b, c, float(stats.chi2.sf(statistic, 1)), "chi-square with continuity correction")


def exact(b: int, c: int) -> float:
    """Two-sided p of the exact conditional test: b of b + c tosses of a fair coin.

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.
    """
    return min(1.0, 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5)))


def mid_p(b: int, c: int) -> float:
    """Two-sided mid-p of the exact test: half the probability of what was seen, and all of what is more extreme.

    The exact test is conservative; this one keeps its level in practice, at any number of rows (Fagerland, Lydersen &
    Laake 2013).

    Args:
        b: Rows that only the system got right.
        c: Rows that only the reference got right.

    Returns:
        The p-value; 1 without discordant rows, where nothing could be more extreme.
    """
    if b + c == 0:
        return 1.0
    seen = float(stats.binom.pmf(b, b + c, 0.5))
    # With b = c what was seen is the middle of the distribution and counts once, not once on either side.
    return 1 - seen / 2 if b == c else exact(b, c) - seen


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
