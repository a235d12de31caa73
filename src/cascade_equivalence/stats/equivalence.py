"""Whether two systems are shown to be equivalent, which no large p-value of a test of difference can show.

Two claims are tested, each with whole groups as the independent units and each against a bound set beforehand:

- Accuracy: the two differ by less than a margin. Two one-sided tests (Schuirmann 1987) with Tango's score statistic
  (1998), or, which is the same, the interval of level 1 - 2 alpha lies inside the margin.
- Answers: Cohen's kappa is above a bound. Systems that are right equally often can be right on other items and give
  other answers, so that accuracy alone says nothing about equivalence.

Both statistics take their variance at the supposed value, so that an interval has a width where all rows agree. A
percentile interval of the bootstrap has none there, and its lower limit of a kappa near 1 is too high too often.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats

from cascade_equivalence.stats import tango
from cascade_equivalence.stats.agreement import UNDEFINED
from cascade_equivalence.stats.clustered import (
    ONE_GROUP,
    SIGN_FLIP,
    RatioEstimator,
    clustered_mcnemar,
    row_test_size,
    sign_flip,
)
from cascade_equivalence.stats.mcnemar import exact, mcnemar, mid_p
from cascade_equivalence.stats.paired import Paired


def judge(paired: Paired, *, accuracy_margin: float, kappa_bound: float, alpha: float) -> dict[str, Any]:
    """Judge whether two systems are equivalent.

    Args:
        paired: Two systems' answers to the same clips.
        accuracy_margin: Largest difference of accuracies that is taken as none, as a share, in (0, 1).
        kappa_bound: Smallest kappa that is taken as the same answers, in (0, 1).
        alpha: Level of each test, in (0, 0.5).

    Returns:
        ``accuracy``: ``margin``, ``alpha``, ``difference`` (system minus reference), ``low`` and ``high`` (limits at
        1 - 2 alpha, by groups), ``tango_low`` and ``tango_high`` (the same as if rows were independent),
        ``p_equivalence`` (the larger of the two one-sided p), ``p_difference`` (clustered McNemar), ``verdict``, see
        ``accuracy_verdict``, and ``reason``.

        ``kappa``: ``bound``, ``value``, ``low`` and ``high`` (one-sided limits at alpha, by groups), ``verdict``, see
        ``kappa_verdict``, and ``reason``.

        ``verdict``: see ``overall_verdict``, and ``reason``, why it is ``undefined``.
    """
    accuracy = _accuracy(paired, accuracy_margin, alpha)
    kappa = _kappa(paired, kappa_bound, alpha)
    verdict = overall_verdict(accuracy["verdict"], kappa["verdict"])
    reason = accuracy["reason"] or kappa["reason"] if verdict == "undefined" else None
    return {"accuracy": accuracy, "kappa": kappa, "verdict": verdict, "reason": reason}


def accuracy_verdict(low: float | None, high: float | None, margin: float, p: float | None, alpha: float) -> str:
    """What is shown about two accuracies.

    Args:
        low: Lower limit of the difference at 1 - 2 alpha; None where there is none.
        high: Upper limit.
        margin: Largest difference that is taken as none.
        p: Two-sided p of the test of a difference; None where there is none.
        alpha: Level.

    Returns:
        ``equivalent``: the interval is inside the margin, and no difference is shown. ``both``: a difference is shown,
        and it is inside the margin: real, but trivial. ``different``: a difference is shown, and it is not shown to be
        trivial. ``inconclusive``: neither is shown. ``undefined``: there is no interval or no test.
    """
    if low is None or high is None or p is None:
        return "undefined"
    inside, differs = -margin < low and high < margin, p < alpha
    if inside:
        return "both" if differs else "equivalent"
    return "different" if differs else "inconclusive"


def kappa_verdict(low: float | None, high: float | None, bound: float) -> str:
    """What is shown about kappa: ``above`` or ``below`` the bound, ``inconclusive``, or ``undefined``."""
    if low is None or high is None:
        return "undefined"
    if low > bound:
        return "above"
    return "below" if high < bound else "inconclusive"


def overall_verdict(accuracy: str, kappa: str) -> str:
    """What is shown about two systems.

    Args:
        accuracy: What ``accuracy_verdict`` gives.
        kappa: What ``kappa_verdict`` gives.

    Returns:
        ``equivalent``: accuracies shown to be within the margin (``equivalent`` or ``both``) and kappa above its bound.
        ``accuracy only``: accuracies within the margin, but kappa below its bound: equally good, with other answers.
        ``different``: accuracies ``different``, or kappa below its bound, otherwise. ``undefined``: one of the two is,
        and the other does not show a difference. ``inconclusive``: the rest.

        Equivalence needs both claims, so it is claimed wrongly at most as often as alpha; a difference needs one of
        two, so it can be claimed wrongly up to twice as often.
    """
    within = accuracy in ("equivalent", "both")
    if within and kappa in ("above", "below"):
        return "equivalent" if kappa == "above" else "accuracy only"
    if accuracy == "different" or kappa == "below":
        return "different"
    return "undefined" if "undefined" in (accuracy, kappa) else "inconclusive"


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


def kappa_score(estimator: RatioEstimator, by_chance: float, supposed: float) -> float:
    """Score statistic of kappa, standard normal if kappa is the supposed value.

    At given chance agreement a kappa is an observed agreement, and the score test of a share is Wilson's (1927). The
    variance accounts for groups, see ``RatioEstimator.null_variance``, and for chance agreement being estimated.

    Args:
        estimator: Kappa as a ratio of sums.
        by_chance: Chance agreement p_e, in [0, 1).
        supposed: The value, in [-p_e / (1 - p_e), 1].
    """
    rows = len(estimator.top)
    agreement = supposed + (1 - supposed) * by_chance
    variance = estimator.null_variance(supposed, max(0.0, rows * agreement * (1 - agreement)))
    return tango.standardise(rows * (1 - by_chance) * (estimator.value - supposed), variance)


def _accuracy(paired: Paired, margin: float, alpha: float) -> dict[str, Any]:
    b, c = (int(each.sum()) for each in _discordant(paired))
    rows = len(paired.system)
    estimator = RatioEstimator.accuracy_difference(paired)
    tango_low, tango_high = tango.interval(b, c, rows, 1 - 2 * alpha)
    found: dict[str, Any] = {
        "margin": margin,
        "alpha": alpha,
        "difference": (b - c) / rows,
        "low": None,
        "high": None,
        "tango_low": tango_low,
        "tango_high": tango_high,
        "p_equivalence": None,
        "p_difference": None,
        "reason": f"no interval: {ONE_GROUP}",
    }
    if paired.clusters.count > 1:
        found["low"], found["high"] = tango.interval(b, c, rows, 1 - 2 * alpha, estimator.null_variance)
        found["p_equivalence"] = max(
            float(stats.norm.sf(-side * tango.score(b, c, rows, side * margin, estimator.null_variance)))
            for side in (-1, 1)
        )
        test = clustered_mcnemar(*(paired.clusters.totals(each) for each in _discordant(paired)))
        found["p_difference"], found["reason"] = test.p, test.reason
    verdict = accuracy_verdict(found["low"], found["high"], margin, found["p_difference"], alpha)
    return {**found, "verdict": verdict}


def _kappa(paired: Paired, bound: float, alpha: float) -> dict[str, Any]:
    estimator = RatioEstimator.kappa(paired)
    by_chance = 1 - float(estimator.bottom.mean())
    found: dict[str, Any] = {"bound": bound, "value": None, "low": None, "high": None, "reason": UNDEFINED}
    if not _constant(paired):
        found["value"], found["reason"] = estimator.value, f"no interval: {ONE_GROUP}"
        if paired.clusters.count > 1:
            found["low"], found["high"] = tango.invert(
                lambda supposed: kappa_score(estimator, by_chance, supposed),
                estimator.value,
                (max(-1.0, -by_chance / (1 - by_chance)), 1.0),
                1 - 2 * alpha,
            )
            found["reason"] = None
    return {**found, "verdict": kappa_verdict(found["low"], found["high"], bound)}


def _constant(paired: Paired) -> bool:
    """Whether both systems gave one and the same answer to every item."""
    return bool((paired.system == paired.system[0]).all() and (paired.reference == paired.system[0]).all())


def _discordant(paired: Paired) -> tuple[np.ndarray, np.ndarray]:
    """Rows that only the system got right, and rows that only the reference got right."""
    return paired.system_correct & ~paired.reference_correct, ~paired.system_correct & paired.reference_correct
