"""How sure a claim on the inside of a model is: p-values from the intervals it rests on, corrected over all claims.

A claim that rests on several intervals has the largest of their p-values (an intersection-union test; Berger 1982). A
claim that can turn out either way has the smaller p of the two, which cannot both be true. All claims that are tested
in a study, shown or not, are one family; they are corrected by Benjamini & Hochberg, and what is not shown after that
cannot be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from cascade_equivalence.report.finding import Finding
from cascade_equivalence.report.outcomes import UNTOLD
from cascade_equivalence.report.prose import inside
from cascade_equivalence.stats.equivalence import p_of_interval
from cascade_equivalence.stats.mcnemar import adjust


class Judged(NamedTuple):
    """What became of a claim.

    Attributes:
        outcome: One of ``OUTCOMES``.
        why: Why it does not hold or cannot be told; or what to know of a claim that holds.
        p: Its p-value; None where it was not tested.
    """

    outcome: str
    why: str = ""
    p: float | None = None


class Sides(NamedTuple):
    """A value with its interval, as a row has it, to be set against bounds; p-values are None where it has none."""

    value: float | None
    low: float | None
    high: float | None
    confidence: float

    @classmethod
    def of(cls, row: Mapping[str, Any], name: str, confidence: float) -> "Sides":
        """The estimate of a name in a row."""
        return cls(row[name], row[f"{name}_low"], row[f"{name}_high"], confidence)

    def above(self, bound: float) -> float | None:
        """P-value of the claim that it lies above a bound."""
        return self._beyond(bound, lambda value: value > bound)

    def below(self, bound: float) -> float | None:
        """P-value of the claim that it lies below a bound."""
        return self._beyond(bound, lambda value: value < bound)

    def _beyond(self, bound: float, side: Any) -> float | None:
        p = p_of_interval(self.value, self.low, self.high, bound, self.confidence)
        return None if p is None or self.value is None else p if side(self.value) else 1.0


def every(*p_values: float | None) -> float | None:
    """P-value of a claim that needs all of some; None where one of them was not tested."""
    there = [p for p in p_values if p is not None]
    return max(there) if there and len(there) == len(p_values) else None


def either(*p_values: float | None) -> float | None:
    """P-value of a claim of which one of some is enough; None where none was tested."""
    return min((p for p in p_values if p is not None), default=None)


def corrected(found: Sequence[Finding], fdr: float) -> list[Finding]:
    """Findings with their adjusted p-values; what is not shown at the false discovery rate cannot be told.

    Args:
        found: All findings of a study.
        fdr: False discovery rate of the claims.
    """
    tested = sum(finding.p is not None for finding in found)
    kept = []
    for finding, p in zip(found, adjust([finding.p for finding in found]), strict=True):
        doubt = p is not None and p > fdr and finding.outcome != UNTOLD
        now = replace(finding, outcome=UNTOLD, why=inside("uncorrected", tested=tested, p=p)) if doubt else finding
        kept.append(replace(now, p_adjusted=p))
    return kept
