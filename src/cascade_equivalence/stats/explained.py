"""What a prediction explains of what there is, 1 - missed / there, and by how much it explains more than another one.

With squared errors and squared distances from a centre that is R2; with character errors and characters it is text
decodability, which is never less than 0. Both are sums over items, so that two predictions for the same items (two
layers, a model and its untrained twin) are compared item by item: that two intervals overlap does not show that the
difference is none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.jackknife import smooth
from cascade_equivalence.stats.statistic import Interval, Statistic

NOTHING = "no interval: as much is missed as there is, whichever items are left out"
LEVEL = 0.95  # at which a share is taken to be nothing at all


@dataclass(frozen=True, eq=False)
class Explained:
    """What a prediction misses, item by item.

    Attributes:
        items: Names of the items, each once, in alphabetical order.
        missed: What is missed of each, (items,).
        there: What there is to explain of each, (items,).
        floored: Whether less than nothing counts as nothing.
    """

    items: Sequence[str]
    missed: Floats
    there: Floats
    floored: bool = False

    @classmethod
    def of_rows(cls, items: Sequence[str], missed: Floats, there: Floats, *, floored: bool = False) -> Self:
        """Sum rows, (rows,) each, within their items."""
        clusters = Clusters.of(items)
        return cls(sorted(set(items)), clusters.totals(missed), clusters.totals(there), floored)

    @classmethod
    def read(cls, found: Mapping[str, Any], *, floored: bool = False) -> Self:
        """From JSON, as ``as_json`` gives it."""
        missed, there = (np.array(found[name], dtype=float) for name in ("missed", "there"))
        return cls(found["items"], missed, there, floored)

    def as_json(self) -> dict[str, list[Any]]:
        """``items``, ``missed`` and ``there``, as lists."""
        return {"items": list(self.items), "missed": self.missed.tolist(), "there": self.there.tolist()}

    @property
    def count(self) -> int:
        """Number of items."""
        return len(self.items)

    def ratio(self, weights: Floats) -> Floats:
        """What is missed of what there is, draws by their weights (draws, items) -> (draws,); NaN of nothing."""
        bottom = weights @ self.there
        return np.divide(weights @ self.missed, bottom, out=np.full(len(weights), np.nan), where=bottom > 0)

    def share(self, weights: Floats) -> Floats:
        """What is explained, (draws,)."""
        explained = 1 - self.ratio(weights)
        return np.maximum(explained, 0) if self.floored else explained

    def statistic(self, undefined: str) -> Statistic:
        """The share that is explained; its interval is the jackknife's over items.

        With t, its degrees of freedom by the kurtosis of what items contribute: squared errors of one number have long
        tails. On log(missed / there), on which an R2 is nearly normal; a floored share stays: it can be all there is.

        Args:
            undefined: Why there may be nothing to explain.
        """
        if not self.floored:
            scale, back = (lambda values: -np.log1p(-values)), (lambda value: -math.expm1(-value))
            return self._smooth(self.share, undefined, scale=scale, back=back)

        def interval() -> Interval:
            unbounded = self._smooth(lambda weights: 1 - self.ratio(weights), undefined).interval
            assert unbounded is not None
            found = unbounded()
            nothing = None if found.reason or found.limits(LEVEL)[1] > 0 else NOTHING

            def limits(confidence: float) -> tuple[float, float]:
                low, high = found.limits(confidence)
                return max(0.0, low), min(1.0, max(0.0, high))

            return Interval(limits, found.influence, found.groups, found.reason or nothing)

        return Statistic(self.share, undefined, interval)

    def minus(self, other: "Explained", undefined: str) -> Statistic:
        """By how much more is explained than by another prediction for the same items: the jackknife of the difference.

        Args:
            other: The other one.
            undefined: Why there may be nothing to explain.
        """
        assert list(self.items) == list(other.items)
        return self._smooth(lambda weights: self.share(weights) - other.share(weights), undefined)

    def _smooth(self, of: Callable[[Floats], Floats], undefined: str, **scale: Any) -> Statistic:
        return smooth(of, self.count, undefined, rests_on=int(np.count_nonzero(self.there)), long_tailed=True, **scale)
