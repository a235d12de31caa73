"""How much each comparison can show with its items, as tidy columns and as a reader sees them."""

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import PairColumn, count, number, text
from cascade_equivalence.report.display import UNDEFINED, Display, decimal, percent
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.table import Table

NUMBERS = (
    *("margin", "alpha", "discordance", "icc", "design_effect", "difference_half_width"),
    *("difference_half_width_planned", "detectable_difference", "equivalence_power"),
)
OF_KAPPA = ("kappa_design_effect", "kappa_half_width", "kappa_half_width_planned")
COLUMNS: dict[str, PairColumn] = {
    **{name: number(f"power.{name}") for name in NUMBERS},
    **{name: count(f"power.{name}") for name in ("groups_for_80", "groups_for_90")},
    **{name: number(f"power.{name}") for name in OF_KAPPA},
    "power_reason": text("power.reason"),
}
"""Planned half-widths take rows as independent; all else is explained at ``stats.power.power``."""


def display(table: pl.DataFrame, confidence: float) -> Display:
    """What can be shown: one row a pair and task, clean speech."""
    clean = table.filter(condition=CLEAN)
    rows = [
        [
            f"{row['system']} vs. {row['reference']}",
            task_title(row["task"]),
            f"{row['groups']:,} ({row['rows']:,})",
            percent(row["discordance"]),
            decimal(row["icc"]),
            decimal(row["design_effect"]),
            f"{percent(row['difference_half_width'])} / {percent(row['difference_half_width_planned'])}",
            percent(row["detectable_difference"]),
            percent(row["equivalence_power"]),
            f"{_count(row['groups_for_80'])} / {_count(row['groups_for_90'])}",
            f"{_number(row['kappa_half_width'])} / {_number(row['kappa_half_width_planned'])}",
        ]
        for row in clean.iter_rows(named=True)
    ]
    bounds = clean.select("margin", "alpha").unique(maintain_order=True).rows()
    return Display(
        name="power",
        title="What these items can show",
        columns=[
            "Pair",
            "Task",
            "Texts (clips)",
            "Discordant %",
            "Correlation in a text",
            "Design effect",
            "Difference ± points: found / if clips were independent",
            "Smallest difference, points",
            "Power of equality %",
            "Texts for 80 / 90 %",
            "κ ±: found / if clips were independent",
        ],
        rows=rows,
        remarks=[
            f"Discordant: clips that only one of the two got right. ±: half the width of the {confidence:.0%} "
            "interval. Correlation in a text: of the clips' accuracy differences; there is none with one clip a text. "
            "Design effect: how many times larger the variance of the accuracy difference is than that of independent "
            "clips.",
            *(
                f"Smallest difference: what the clustered McNemar's test at {alpha:.0%} shows four times in five. "
                "Power of equality: how often accuracies without a difference are shown to be equal within "
                f"±{100 * margin:g} points; and the texts, with as many clips each, that 80 or 90 % power needs. All "
                "at the discordance and the design effect that were found, which are estimates."
                for margin, alpha in bounds
            ),
            *(
                f"Missing ({UNDEFINED}): {reason}."
                for reason in clean["power_reason"].drop_nulls().unique(maintain_order=True)
            ),
        ],
        text_columns=2,
    )


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"


def _count(value: int | None) -> str:
    return UNDEFINED if value is None else f"{value:,}"


TABLE = Table(
    name="power",
    section="controls",
    columns=COLUMNS,
    display=lambda tables, confidence: display(tables.power, confidence),
)
