"""Estimates of several tasks and systems as one, from their values and limits alone.

Tasks have other items, so their estimates are independent: reaches (value to limit) combine as the root of their sum of
squares. Systems answer the same items, so theirs are not, and their correlation is in no table: reaches are averaged,
which is right where the correlation is 1 and cautious otherwise. A difference of two estimates of the same items is
taken as one of independent ones, cautious as long as the two do not move against each other.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from cascade_equivalence.stats.intervals import recovered

METHOD = (
    "from the tables' estimates: tasks as independent, systems on the same items as fully dependent, differences of "
    "estimates of the same items as independent"
)


class Value(NamedTuple):
    """An estimate with its limits.

    Attributes:
        value: The value.
        low: Lower limit.
        high: Upper limit.
    """

    value: float
    low: float
    high: float

    def negative(self) -> "Value":
        """Its negative, the limits turned round."""
        return Value(0.0 - self.value, 0.0 - self.high, 0.0 - self.low)

    def minus(self, other: "Value | float") -> "Value":
        """Minus another estimate, or a number."""
        if not isinstance(other, Value):
            return Value(self.value - other, self.low - other, self.high - other)
        low, high = recovered((self.value, other.value), (self[1:], other[1:]), 0.0)
        return Value(self.value - other.value, low, high)


def independent(values: Sequence[Value]) -> Value:
    """The mean of estimates on other items."""
    return _mean(values, lambda reaches: float(np.sqrt(np.sum(np.square(reaches)))))


def dependent(values: Sequence[Value]) -> Value:
    """The mean of estimates on the same items."""
    return _mean(values, lambda reaches: float(np.sum(reaches)))


def _mean(values: Sequence[Value], total: Callable[[list[float]], float]) -> Value:
    mean = float(np.mean([each.value for each in values]))
    down, up = [each.value - each.low for each in values], [each.high - each.value for each in values]
    return Value(mean, mean - total(down) / len(values), mean + total(up) / len(values))
