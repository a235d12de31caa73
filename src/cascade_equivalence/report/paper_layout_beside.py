"""The paper's numbers by what they stand beside in this study."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from cascade_equivalence.report.comparison import NO
from cascade_equivalence.report.comparison_display import who_is_whom
from cascade_equivalence.report.comparison_study import depth
from cascade_equivalence.report.display import MINUS
from cascade_equivalence.report.paper_numbers import LAST_LAYER, STATISTICS
from cascade_equivalence.report.tables import Tables

KEY = (
    "place",
    "statistic",
    "ours_system",
    "ours_reference",
    "ours_model",
    "task",
    "concept",
    "ours_layer",
)
BRACKETS = "In round brackets the paper's number."
DEPTH = (
    "The paper's models have 32 blocks (0 to 31); beside a model of another depth stands the paper's layer that is "
    "nearest in relative depth."
)


@dataclass(frozen=True)
class Beside:
    """What of the paper stands beside this study's numbers.

    Attributes:
        rows: Rows of the comparison that apply.
        found: The paper's numbers as it prints them, by ``KEY``.
    """

    rows: pl.DataFrame
    found: Mapping[tuple[Any, ...], str]

    @classmethod
    def of(cls, comparison: pl.DataFrame, tables: Tables) -> "Beside":
        """From what ``comparison`` gives.

        Where several of the paper's layers fall on one of a less deep model, the nearest in relative depth stands.
        """
        there = comparison.filter((pl.col("applies") != NO) & pl.col("aggregate").is_null())
        nearest: dict[tuple[Any, ...], tuple[float, str]] = {}
        for row in there.iter_rows(named=True):
            key = tuple(row[name] for name in KEY)
            away = _away(row, tables)
            if key not in nearest or away < nearest[key][0]:
                nearest[key] = away, row["printed"].replace("-", MINUS)
        return cls(there, {key: printed for key, (_, printed) in nearest.items()})

    def number(
        self,
        place: str,
        statistic: str,
        *,
        system: str | None = None,
        reference: str | None = None,
        model: str | None = None,
        task: str | None = None,
        concept: str | None = None,
        layer: int | None = None,
    ) -> str:
        """The paper's number beside one of this study's; empty if there is none."""
        return self.found.get((place, statistic, system, reference, model, task, concept, layer), "")

    def remarks(self, place: str) -> list[str]:
        """Whose the numbers in brackets are."""
        there = self.rows.filter(place=place)
        if not there.height:
            return []
        elsewhere = there.filter(pl.col("ours_layer") != pl.col("layer")).height
        return [BRACKETS, *who_is_whom(there), *([DEPTH] if elsewhere else [])]


def _away(row: Mapping[str, Any], tables: Tables) -> float:
    """How far apart the paper's layer and this study's are, as shares of the depth."""
    if row["ours_layer"] is None:
        return 0.0
    table = tables[str(STATISTICS[row["statistic"]].layered)]
    watched = table.filter(model=row["ours_model"])["layer"].unique().sort().to_list()
    return abs(depth(row["ours_layer"], watched, exact=False) - row["layer"] / LAST_LAYER)
