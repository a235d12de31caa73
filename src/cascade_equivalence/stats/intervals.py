"""Statistics whose intervals count whole groups: shares, differences on the same rows, contrasts.

- Share (accuracy, parse rate, a mean of numbers in [0, 1]): the score interval by groups, see ``wilson``.
- Difference of two shares on the same rows: the score interval by groups, see ``tango``.
- Difference of two statistics on the same groups: from the limits (l, u) of each and the correlation r of their
  influences (method of variance estimates recovery; Zou & Donner 2008), with d = v1 - v2,

      low = d - sqrt((v1 - l1)^2 + (u2 - v2)^2 - 2 r (v1 - l1) (u2 - v2)),
      high = d + sqrt((u1 - v1)^2 + (v2 - l2)^2 - 2 r (u1 - v1) (v2 - l2)).

Any other has the interval of the jackknife, see ``jackknife``.

All have a width where the data do not vary: that no row differs is compatible with a few that do.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from cascade_equivalence.stats import tango, wilson
from cascade_equivalence.stats.clustered import RatioEstimator
from cascade_equivalence.stats.clusters import Bools, Clusters, Floats
from cascade_equivalence.stats.statistic import Interval, Statistic, from_sums, value_of


def share(clusters: Clusters, values: Floats | Bools, undefined: str, among: Bools | None = None) -> Statistic:
    """The mean of numbers in [0, 1], such as whether an answer is right, over the rows that count.

    Args:
        clusters: The group of each row.
        values: The number of each row, (rows,); any where the row does not count.
        undefined: Why there may be no row that counts.
        among: Which rows count, (rows,); None for all.
    """
    counts = np.ones(len(values), dtype=np.bool_) if among is None else among

    def interval() -> Interval:
        groups = clusters.among(counts)
        estimator = RatioEstimator(np.asarray(values[counts], dtype=float), np.ones(int(counts.sum())), groups)
        influence = _influence(clusters, np.where(counts, values, 0.0), counts, estimator.value)
        return Interval(lambda confidence: wilson.interval(estimator, confidence), influence, groups.count)

    return _ratio(clusters, np.where(counts, values, 0.0), counts, undefined, interval)


def paired_difference(
    clusters: Clusters, one: Bools, other: Bools, undefined: str, among: Bools | None = None
) -> Statistic:
    """The share of rows with one property minus that with another, such as two systems' accuracies on the same rows.

    Args:
        clusters: The group of each row.
        one: Whether a row has the one property, (rows,).
        other: Whether it has the other, (rows,).
        undefined: Why there may be no row that counts.
        among: Which rows count, (rows,); None for all.
    """
    counts = np.ones(len(one), dtype=np.bool_) if among is None else among
    gain = np.where(counts, np.asarray(one, dtype=float) - np.asarray(other, dtype=float), 0.0)

    def interval() -> Interval:
        groups = clusters.among(counts)
        top = gain[counts]
        estimator = RatioEstimator(top, np.ones(len(top)), groups)
        b, c = float((top > 0).sum()), float((top < 0).sum())

        def limits(confidence: float) -> tuple[float, float]:
            return tango.interval(b, c, len(top), confidence, estimator.null_variance)

        influence = _influence(clusters, gain, counts, estimator.value)
        return Interval(limits, influence, groups.count)

    return _ratio(clusters, gain, counts, undefined, interval)


def difference(first: Statistic, second: Statistic, groups: int, undefined: str) -> Statistic:
    """One statistic minus another over the same groups.

    Args:
        first: The one; it has an interval.
        second: The other; likewise.
        groups: Number of groups.
        undefined: Why the difference may not exist: it does not where either value does not.
    """

    def interval() -> Interval:
        assert first.interval is not None and second.interval is not None
        one, other = first.interval(), second.interval()
        values = value_of(first, groups), value_of(second, groups)
        fewest = min(one.groups, other.groups)

        def limits(confidence: float) -> tuple[float, float]:
            related = correlation(one.influence, other.influence, fewest, confidence)
            return recovered(values, (one.limits(confidence), other.limits(confidence)), related)

        return Interval(limits, one.influence - other.influence, fewest, one.reason or other.reason)

    return Statistic(lambda weights: first.of(weights) - second.of(weights), undefined, interval)


def recovered(
    values: tuple[float, float], limits: tuple[tuple[float, float], tuple[float, float]], related: float
) -> tuple[float, float]:
    """Limits of a difference from those of its two terms.

    Args:
        values: The two values.
        limits: Lower and upper limit of each.
        related: Correlation of the two, in [-1, 1].
    """
    (v1, v2), ((l1, u1), (l2, u2)) = values, limits

    def reach(one: float, other: float) -> float:
        return float(np.sqrt(max(0.0, one**2 + other**2 - 2 * related * one * other)))

    return v1 - v2 - reach(v1 - l1, u2 - v2), v1 - v2 + reach(u1 - v1, v2 - l2)


def correlation(one: Floats, other: Floats, groups: int, confidence: float) -> float:
    """Correlation of two statistics.

    That no group tells the two apart does not show that none would: the correlation is taken to be lower by the upper
    score limit of a share that was found in none of the groups, z^2 / (groups + z^2).

    Args:
        one: The influence of each group on the one, (all groups,).
        other: The influence of the same groups on the other.
        groups: How many of them the two rest on.
        confidence: Level of the interval that it is for.
    """
    size = float(np.sqrt((one @ one) * (other @ other)))
    quantile = float(stats.norm.isf((1 - confidence) / 2))
    return float(one @ other) / size * groups / (groups + quantile**2) if size else 0.0


def above_chance(agreed: Bools, by_chance: Floats, clusters: Clusters) -> Interval:
    """The interval of an agreement above chance, (mean(agreed) - e) / (1 - e), with e the mean chance agreement.

    A score interval as of a share, at chance agreement as it is. For an index whose chance hardly depends on the rows;
    Cohen's kappa has its own, see ``kappa_interval``.

    Args:
        agreed: Whether the two agree, (rows,).
        by_chance: Each row's part in chance agreement, to first order, whose mean it is, (rows,).
        clusters: The group of each row.
    """
    estimator = RatioEstimator(agreed - by_chance, 1 - by_chance, clusters)
    rows, expected, value = len(agreed), float(by_chance.mean()), estimator.value

    def score(supposed: float) -> float:
        agreement = supposed + (1 - supposed) * expected
        variance = estimator.null_variance(supposed, max(0.0, rows * agreement * (1 - agreement)))
        return tango.standardise(rows * (1 - expected) * (value - supposed), variance)

    def limits(confidence: float) -> tuple[float, float]:
        return tango.invert(score, value, (max(-1.0, -expected / (1 - expected)), 1.0), confidence)

    influence = clusters.totals(estimator.top - value * estimator.bottom) / estimator.bottom.sum()
    return Interval(limits, influence, clusters.count)


def _ratio(
    clusters: Clusters, values: Floats, counts: Bools, undefined: str, interval: Callable[[], Interval]
) -> Statistic:
    def formula(sums: Floats) -> Floats:
        top, bottom = sums.T
        return np.divide(top, bottom, out=np.full(len(sums), np.nan), where=bottom != 0)

    totals = np.stack([clusters.totals(values), clusters.totals(counts)], axis=1)
    return from_sums(totals, formula, undefined, interval)


def _influence(clusters: Clusters, values: Floats, counts: Bools, value: float) -> Floats:
    return (clusters.totals(values) - value * clusters.totals(counts)) / counts.sum()
