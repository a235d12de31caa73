"""Verdicts on pairs: against the ceiling where the study has one, and corrected for the number of tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.columns import ENDS
from cascade_equivalence.report.families import correct
from cascade_equivalence.report.pair_tables import ceilings
from cascade_equivalence.stats.equivalence import accuracy_verdict, kappa_verdict, overall_verdict, p_of_interval

CEILING = "ceiling"
NO_CEILING = "the study has no contrast of this kappa with that of a ceiling"
TESTS = ("p_difference", "p_below", "p_gap")
Ends: TypeAlias = tuple[float | None, float | None, float | None]
"""Value, lower and upper limit."""


@dataclass(frozen=True)
class Gap:
    """Kappa of a pair minus that of a ceiling, with its interval.

    Attributes:
        ceiling: The other pair.
        ends: Value, lower and upper limit; None where there is none.
        reason: Why something is missing.
    """

    ceiling: str
    ends: Ends
    reason: str | None


def with_verdicts(
    equivalence: pl.DataFrame, agreement: pl.DataFrame, contrasts: pl.DataFrame, statistics: StatisticsConfig
) -> pl.DataFrame:
    """Fill in the gaps to ceilings, the adjusted p-values and the verdicts.

    Args:
        equivalence: Tidy equivalence table, without these.
        agreement: Tidy agreement table, which says which pairs are ceilings.
        contrasts: Tidy contrasts table, where kappas are compared with those of ceilings.
        statistics: Bounds, families and false discovery rate.

    Returns:
        The table with all of its columns.
    """
    bounds, level, fdr = statistics.equivalence, statistics.confidence, statistics.fdr
    tops = {frozenset(pair) for pair in ceilings(agreement).select("system", "reference").iter_rows()}
    gaps = _gaps(contrasts, tops)
    rows = []
    for row in equivalence.iter_rows(named=True):
        gap = gaps.get((frozenset((row["system"], row["reference"])), row["task"], row["condition"]))
        ends = gap.ends if gap else (None, None, None)
        rows.append(
            row
            | {
                "ceiling": gap.ceiling if gap else None,
                "ceiling_margin": bounds.ceiling_margin,
                **{f"gap{end}": value for end, value in zip(ENDS, ends, strict=True)},
                "gap_reason": gap.reason if gap else NO_CEILING,
                "p_below": _below(_ends(row, "kappa"), row["kappa_bound"], level),
                "p_gap": _below(ends, -bounds.ceiling_margin, level),
            }
        )
    correct(rows, TESTS, statistics)
    for row in rows:
        row["accuracy_verdict"] = accuracy_verdict(
            row["accuracy_difference_low"],
            row["accuracy_difference_high"],
            row["accuracy_margin"],
            row["p_difference_adjusted"],
            fdr,
        )
        row["kappa_verdict"] = _kappa_verdict(row, "kappa", row["kappa_bound"], "p_below", fdr)
        row["gap_verdict"] = _kappa_verdict(row, "gap", -bounds.ceiling_margin, "p_gap", fdr)
        row.update(_together(row, is_ceiling=frozenset((row["system"], row["reference"])) in tops))
    return pl.DataFrame(rows, schema=equivalence.schema, orient="row")


def _together(row: Mapping[str, Any], *, is_ceiling: bool) -> dict[str, Any]:
    answers = "gap" if row["gap"] is not None else "kappa"
    verdict = overall_verdict(row["accuracy_verdict"], row[f"{answers}_verdict"])
    reason = row["accuracy_reason"] or row[f"{answers}_reason"] if verdict == "undefined" else None
    # Two transcripts of one LLM are what others are held against: nothing that they could fall short of.
    return {"verdict": CEILING if is_ceiling and verdict != "equivalent" else verdict, "reason": reason}


def _kappa_verdict(row: Mapping[str, Any], name: str, bound: float, test: str, fdr: float) -> str:
    return kappa_verdict(row[f"{name}_low"], row[f"{name}_high"], bound, row[f"{test}_adjusted"], fdr)


def _below(ends: Ends, bound: float, confidence: float) -> float | None:
    """P of a value below a bound; 1 where it is not below."""
    value, low, high = ends
    p = p_of_interval(value, low, high, bound, confidence)
    return p if p is None or value is None or value < bound else 1.0


def _ends(row: Mapping[str, Any], name: str) -> Ends:
    return row[name], row[f"{name}_low"], row[f"{name}_high"]


def _gaps(contrasts: pl.DataFrame, tops: set[frozenset[str]]) -> dict[tuple[frozenset[str], str, str], Gap]:
    """By pair, task and condition: its kappa minus that of the first ceiling that it can be held against.

    A gap without a value stands only where there is no other: it says why.
    """
    found: dict[tuple[frozenset[str], str, str], Gap] = {}
    for row in contrasts.iter_rows(named=True):
        value, low, high = ends = _ends(row, "kappa_difference")
        for other, top, gap in (
            ("first", "second", ends),
            ("second", "first", (_minus(value), _minus(high), _minus(low))),
        ):
            pair, ceiling = (frozenset((row["system"], row[which])) for which in (other, top))
            if ceiling in tops and pair not in tops:
                name = f"{row['system']} vs. {row[top]}"
                place = (pair, row["task"], row["condition"])
                if place not in found or (found[place].ends[0] is None and gap[0] is not None):
                    found[place] = Gap(name, gap, row["reason"])
    return found


def _minus(end: float | None) -> float | None:
    return None if end is None else 0.0 - end
