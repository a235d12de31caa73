"""A statistic of pairs with its table: the share of clips that both systems get right, with its interval."""

from dataclasses import asdict
from typing import Any

from cascade_equivalence.report.columns import estimate
from cascade_equivalence.report.display import Display, interval
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.table import TABLES, Table
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.stats.pair_statistic import PAIR_STATISTICS, Pair, PairStatistic, Settings

NAME = "both_right"


def both_right(pair: Pair, settings: Settings) -> dict[str, Any]:
    """The share, with a score interval by texts."""
    from cascade_equivalence.stats.accuracy import accuracy
    from cascade_equivalence.stats.statistic import estimate as estimated

    clusters = pair.paired.clusters
    share = accuracy(clusters, pair.paired.system_correct & pair.paired.reference_correct)
    return asdict(estimated({NAME: share}, clusters.count, settings.confidence)[NAME])


def display(tables: Tables, confidence: float) -> Display:
    """The table as a reader sees it."""
    rows = [
        [
            f"{row['system']} vs. {row['reference']}",
            task_title(row["task"]),
            row["condition"],
            interval(*(row[f"{NAME}{end}"] for end in ("", "_low", "_high"))),
        ]
        for row in tables[NAME].iter_rows(named=True)
    ]
    columns = ["Pair", "Task", "Condition", f"Share both right [{confidence:.0%}]"]
    return Display(NAME, "Clips that both get right", columns, rows, [], text_columns=3)


PAIR_STATISTICS.add(PairStatistic(NAME, both_right))
TABLES.add(
    Table(
        name=NAME,
        section="agreement",
        columns=estimate(NAME),
        display=display,
        planned=lambda study: bool(study.config.pairs),
    )
)
