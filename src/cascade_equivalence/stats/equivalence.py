"""Whether two systems are shown to be equivalent, which no large p-value of a test of difference can show.

Each claim is judged against a bound set beforehand, by the interval of the study's level that every table shows of the
number; whole groups are the independent units.

- Accuracy: the two differ by less than a margin where the interval of the difference lies inside it. That is two
  one-sided tests (Schuirmann 1987) with Tango's score statistic (1998).
- Answers: Cohen's kappa is at most so much below that of the ceiling, two cascades with the same LLM that read two
  transcripts: the interval of the difference of the two kappas, see ``contrast``. A speech LLM cannot agree with a
  cascade more than another transcript leaves room for, so a kappa of 0.7 is close where that of the ceiling is 0.72.
- Answers, where there is no ceiling: kappa is above an absolute bound.

Systems that are right equally often can be right on other items and give other answers, so that accuracy alone says
nothing about equivalence.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats

from cascade_equivalence.stats import tango
from cascade_equivalence.stats.clustered import (
    SIGN_FLIP,
    RatioEstimator,
    clustered_mcnemar,
    row_test_size,
    sign_flip,
)
from cascade_equivalence.stats.mcnemar import exact, mcnemar, mid_p
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Estimate


def judge(
    paired: Paired,
    *,
    kappa: Estimate,
    difference: Estimate,
    accuracy_margin: float,
    kappa_bound: float,
    confidence: float,
) -> dict[str, Any]:
    """Test what equivalence is judged by; verdicts need the other tests of a study, see ``overall_verdict``.

    Args:
        paired: Two systems' answers to the same clips.
        kappa: Their Cohen's kappa.
        difference: Accuracy of the system minus that of the reference.
        accuracy_margin: Largest difference of accuracies that is taken as none, as a share, in (0, 1).
        kappa_bound: Smallest kappa that is taken as the same answers, in (0, 1).
        confidence: Level of the intervals, in (0, 1).

    Returns:
        ``accuracy``: ``margin``, ``difference`` (system minus reference), ``low`` and ``high`` (by groups),
        ``tango_low`` and ``tango_high`` (as if rows were independent), ``p_equivalence`` (the larger of the two
        one-sided p; below (1 - confidence) / 2 where the interval is inside the margin), ``p_difference`` (clustered
        McNemar) and ``reason``.

        ``kappa``: ``bound``, ``value``, ``low`` and ``high`` (by groups) and ``reason``.
    """
    return {
        "accuracy": _accuracy(paired, difference, accuracy_margin, confidence),
        "kappa": {"bound": kappa_bound, **asdict(kappa)},
    }


def accuracy_verdict(low: float | None, high: float | None, margin: float, p_adjusted: float | None, fdr: float) -> str:
    """What is shown about two accuracies.

    Args:
        low: Lower limit of the difference; None where there is none.
        high: Upper limit.
        margin: Largest difference that is taken as none.
        p_adjusted: Adjusted p of the test of a difference; None where there is none.
        fdr: Level of the adjusted p.

    Returns:
        ``equivalent``: the interval is inside the margin, and no difference is shown. ``both``: a difference is shown,
        and it is inside the margin: real, but trivial. ``different``: a difference is shown, and it is not shown to be
        trivial. ``inconclusive``: neither is shown. ``undefined``: there is no interval or no test.
    """
    if low is None or high is None or p_adjusted is None:
        return "undefined"
    inside, differs = -margin < low and high < margin, p_adjusted <= fdr
    if inside:
        return "both" if differs else "equivalent"
    return "different" if differs else "inconclusive"


def kappa_verdict(low: float | None, high: float | None, bound: float, p_adjusted: float | None, fdr: float) -> str:
    """What is shown about kappa, or about its difference from the ceiling's.

    Args:
        low: Lower limit; None where there is none.
        high: Upper limit.
        bound: What it is to be above.
        p_adjusted: Adjusted p of the test that it lies below; None where there is none.
        fdr: Level of the adjusted p.

    Returns:
        ``above`` or ``below`` the bound, ``inconclusive``, or ``undefined``.
    """
    if low is None or high is None:
        return "undefined"
    if low > bound:
        return "above"
    return "below" if high < bound and p_adjusted is not None and p_adjusted <= fdr else "inconclusive"


def overall_verdict(accuracy: str, kappa: str) -> str:
    """What is shown about two systems.

    Args:
        accuracy: What ``accuracy_verdict`` gives.
        kappa: What ``kappa_verdict`` gives: against the ceiling where there is one, else against the bound.

    Returns:
        ``equivalent``: accuracies shown to be within the margin (``equivalent`` or ``both``) and kappa above its bound.
        ``accuracy only``: accuracies within the margin, but kappa below its bound: equally good, with other answers.
        ``different``: accuracies ``different``, or kappa below its bound, otherwise. ``undefined``: one of the two is,
        and the other does not show a difference. ``inconclusive``: the rest.

        Equivalence needs both claims, so it is claimed wrongly at most as often as either. Differences are corrected
        over all tests of a family.
    """
    within = accuracy in ("equivalent", "both")
    if within and kappa in ("above", "below"):
        return "equivalent" if kappa == "above" else "accuracy only"
    if accuracy == "different" or kappa == "below":
        return "different"
    return "undefined" if "undefined" in (accuracy, kappa) else "inconclusive"


def p_of_interval(
    value: float | None, low: float | None, high: float | None, bound: float, confidence: float
) -> float | None:
    """Two-sided p of a value against a bound, from its interval: 1 - confidence where the bound is a limit.

    The interval is taken to grow in proportion with the quantile of the normal distribution on each of its sides.

    Args:
        value: The value; None where there is none.
        low: Lower limit; None where there is none.
        high: Upper limit.
        bound: What the value is tested against.
        confidence: Level of the interval, in (0, 1).
    """
    if value is None or low is None or high is None:
        return None
    reach = high - value if bound > value else value - low
    if not reach:
        return 1.0 if bound == value else 0.0
    return 2 * float(stats.norm.sf(abs(bound - value) / reach * stats.norm.isf((1 - confidence) / 2)))


def tests(paired: Paired, alpha: float) -> dict[str, Any]:
    """Test in several ways whether two systems are right equally often.

    Args:
        paired: Two systems' answers to the same clips.
        alpha: Level at which the test of rows is looked into, in (0, 0.5).

    Returns:
        As if rows were independent: ``b``, ``c``, ``p``, ``method`` (the paper's McNemar), ``exact``, ``mid_p``. With
        whole groups: ``clustered`` {statistic, p, method, reason}, ``permutation`` {p, method}. What taking rows as
        independent does: ``row_test`` {alpha, design_effect: of the difference, at no difference; size: see
        ``row_test_size``}, the latter two None where no row is discordant or there is one group.
    """
    b_rows, c_rows = _discordant(paired)
    b, c = int(b_rows.sum()), int(c_rows.sum())
    totals = paired.clusters.totals(b_rows), paired.clusters.totals(c_rows)
    effect = None
    if b + c and paired.clusters.count > 1:
        effect = RatioEstimator.accuracy_difference(paired).cautious_design_effect(0.0)
    return {
        **asdict(mcnemar(b, c)),
        "exact": exact(b, c),
        "mid_p": mid_p(b, c),
        "clustered": asdict(clustered_mcnemar(*totals)),
        "permutation": {"p": sign_flip(*totals), "method": SIGN_FLIP},
        "row_test": {
            "alpha": alpha,
            "design_effect": effect,
            "size": None if effect is None else row_test_size(effect, alpha),
        },
    }


def _accuracy(paired: Paired, found: Estimate, margin: float, confidence: float) -> dict[str, Any]:
    discordant = _discordant(paired)
    b, c = (int(each.sum()) for each in discordant)
    rows, p = len(paired.system), None
    tango_low, tango_high = tango.interval(b, c, rows, confidence)
    if not found.reason:
        variance = RatioEstimator.accuracy_difference(paired).null_variance
        p = max(float(stats.norm.sf(-side * tango.score(b, c, rows, side * margin, variance))) for side in (-1, 1))
    return {
        "margin": margin,
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "tango_low": tango_low,
        "tango_high": tango_high,
        "p_equivalence": p,
        "p_difference": clustered_mcnemar(*(paired.clusters.totals(each) for each in discordant)).p,
        "reason": found.reason,
    }


def _discordant(paired: Paired) -> tuple[np.ndarray, np.ndarray]:
    """Rows that only the system got right, and rows that only the reference got right."""
    return paired.system_correct & ~paired.reference_correct, ~paired.system_correct & paired.reference_correct
