"""Which tests are corrected together: one rule for every claim of a difference in the report.

Claims of one kind (accuracies differ, kappa is below its bound, kappa is below the ceiling's, two agreements differ)
over all rows of a family are corrected by Benjamini & Hochberg, so that of what is claimed in a family at most the
study's false discovery rate is false, on average. A family is all pairs and tasks of one condition, or what the config
names. An interval is of one number and is not corrected.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cascade_equivalence.config.statistics import FamilyConfig, StatisticsConfig
from cascade_equivalence.stats.mcnemar import adjust

ADJUSTED = "_adjusted"


def correct(rows: list[dict[str, Any]], names: Iterable[str], statistics: StatisticsConfig) -> None:
    """Put the adjusted p-values of each family into its rows.

    Args:
        rows: Rows with ``system``, ``task`` and ``condition``, and ``reference`` where they are pairs; changed.
        names: The p-values' columns; their adjusted ones have the same names with ``ADJUSTED``.
        statistics: Families.
    """
    families: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    columns = list(names)
    for row in rows:
        row.update(dict.fromkeys(name + ADJUSTED for name in columns))
        pair = f"{row['system']}~{row.get('reference')}"
        if pair not in statistics.family_excludes:
            condition = row["condition"] if statistics.family == "condition" else ""
            families.setdefault((condition, _is_apart(pair, row, statistics.family_apart)), []).append(row)
    for family in families.values():
        for name in columns:
            for row, p in zip(family, adjust([row.get(name) for row in family]), strict=True):
                row[name + ADJUSTED] = p


def _is_apart(pair: str, row: Mapping[str, Any], apart: FamilyConfig | None) -> bool:
    """Whether a test belongs to the family that the config sets apart."""
    return apart is not None and pair in apart.pairs and row["task"] in (apart.tasks or [row["task"]])
