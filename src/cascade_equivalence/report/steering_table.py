"""What answers become where states are moved along a direction, or kept from a concept at one layer, as a table."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import MINUS, UNDEFINED, Display, decimal, ends, percent, points_ends
from cascade_equivalence.report.mechanism_names import concept_title
from cascade_equivalence.report.naming import in_order, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

ESTIMATES = ("accuracy", "accuracy_change", "odds_change", "difference", "unseen_odds_change", "unseen_difference")
NOTHING, DIRECTION = "none", "direction"
PLACE = ["change", "positions", "layer", "amount", "whole"]
SCHEMA: Schema = {
    "model": pl.String,
    "task": pl.String,
    "change": pl.String,
    "positions": pl.String,
    "layer": pl.Int64,
    "amount": pl.Float64,
    "whole": pl.Int64,
    "items": pl.Int64,
    "groups": pl.Int64,
    "seen_items": pl.Int64,
    "before": pl.Float64,
    **{column: kind for name in ESTIMATES for column, kind in estimate_schema(name).items()},
    "draws": pl.Int64,
    "random_change": pl.Float64,
    "reason": pl.String,
}
"""Model x task x change x positions x layer x amount, by forced choice. ``change``: ``direction`` from silence to
speech, ``amount`` its strength; or a concept that is erased at this layer alone, ``amount`` its first directions of the
``whole`` number. ``before``: accuracy without any change; ``odds_change``: of the log-odds of the right label against
all others, in nats; ``random_change``: the same of random directions as long, or random erasers of the same rank, mean
over ``draws``; ``difference``: the change minus that, item by item; ``unseen``: on
items that erasers were not fitted on, all but ``seen_items``."""
NO_DRAW = "no random change was asked for"
ALL_SEEN = "erasers were fitted on all items"


def frame(files: Iterable[Path], statistics: StatisticsConfig) -> pl.DataFrame:
    """One row a model, task and change.

    Args:
        files: What ``nodes.steering`` wrote, of a model and task each.
        statistics: Level of the intervals.
    """
    found = files_about(files, ["model", "task"])
    rows: list[dict[str, Any]] = []
    for model in dict.fromkeys(model for model, _ in found):
        for task in in_order([task for name, task in found if name == model]):
            rows += _rows(model, task, pl.read_parquet(found[model, task]), statistics)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _rows(model: str, task: str, answers: pl.DataFrame, statistics: StatisticsConfig) -> list[dict[str, Any]]:
    from cascade_equivalence.report.mechanism_frames import estimate_values, reasons
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.mean import mean, numbers
    from cascade_equivalence.stats.statistic import estimate

    answers = answers.with_columns(right=(pl.col("forced") == pl.col("label")).cast(pl.Float64))
    before = answers.filter(change=NOTHING).select("id", odds="log_odds", was="right")
    changed = answers.filter(pl.col("change") != NOTHING).join(before, on="id", maintain_order="left")
    changed = changed.with_columns(moved=pl.col("log_odds") - pl.col("odds"), turned=pl.col("right") - pl.col("was"))
    rows = []
    for place, part in changed.group_by(PLACE, maintain_order=True):
        own, drawn = part.filter(pl.col("draw").is_null()).sort("id"), part.filter(pl.col("draw").is_not_null())
        random = drawn.group_by("id").agg(random=pl.col("moved").mean())
        own = own.join(random, on="id", how="left", maintain_order="left").with_columns(
            beyond=pl.col("moved") - pl.col("random")
        )
        new = ~pl.col("seen")
        own = own.with_columns(moved_new=pl.when(new).then("moved"), beyond_new=pl.when(new).then("beyond"))
        missing = ALL_SEEN if own["seen"].all() else NO_DRAW
        clusters = Clusters.of(own["group"].to_list())
        columns = dict(zip(ESTIMATES, ("right", "turned", "moved", "beyond", "moved_new", "beyond_new"), strict=True))
        estimates = estimate(
            {name: mean(clusters, numbers(own[column]), missing) for name, column in columns.items()},
            clusters.count,
            statistics.confidence,
        )
        row = {"model": model, "task": task, **dict(zip(PLACE, place, strict=True))}
        row |= {"items": own.height, "groups": clusters.count, "seen_items": own["seen"].sum()}
        row |= {"before": own["was"].mean()}
        row |= {"draws": drawn["draw"].n_unique(), "random_change": own["random"].mean(), "reason": reasons(estimates)}
        for name, each in estimates.items():
            row |= estimate_values(name, each)
        rows.append(row)
    return rows


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a model, task and change, by layers."""
    rows = [
        [
            row["model"],
            task_title(row["task"]),
            "Direction" if row["change"] == DIRECTION else f"{concept_title(row['change'])} erased",
            str(row["layer"]),
            _amount(row),
            ends(row, "odds_change", signed=True),
            UNDEFINED if row["random_change"] is None else decimal(row["random_change"], signed=True),
            UNDEFINED if row["difference"] is None else ends(row, "difference", signed=True),
            percent(row["before"]),
            points_ends(row, "accuracy_change"),
            f"{row['items']:,} ({row['groups']:,})",
            f"{row['seen_items']:,}",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="steering",
        title="What answers become where states are changed at one layer",
        columns=[
            "Model",
            "Task",
            "Change",
            "Layer",
            "Amount",
            f"Log-odds [{confidence:.0%}]",
            "Random",
            "Minus random",
            "Accuracy % before",
            "Its change, points",
            "Items (texts)",
            "Of them fitted on",
        ],
        rows=rows,
        remarks=[
            "Direction: states are moved by the difference between the mean state while speech is heard and the mean "
            "state while silence as long is heard, fitted on texts that are not answered; amount 1 is the whole "
            f"difference, {MINUS}1 takes speech to where silence lies. Erased: the study's eraser of the concept at "
            "this layer alone; amount: how many of its first directions, of so many.",
            "Log-odds: by how much those of the right label against all others change, in nats; the answers are forced "
            "choices. Random: the same with random directions as long, or random erasers of the same rank, mean over "
            "draws; a change whose interval minus random holds 0 is not told from moving states anywhere.",
            *_seen(table),
            *_not_told(table, confidence),
        ],
        text_columns=3,
    )


def _amount(row: dict[str, Any]) -> str:
    if row["whole"] is None:
        return f"{row['amount']:+g}".replace("-", MINUS)
    return f"{row['amount']:g} of {row['whole']}"


def _seen(table: pl.DataFrame) -> list[str]:
    """How much of the changes may come from erasers that were fitted on the very items."""
    both = table.filter(pl.col("seen_items") > 0)
    if not both.height:
        return []
    share = sum(both["seen_items"]) / sum(both["items"])
    moved = both.select((pl.col("odds_change") - pl.col("unseen_odds_change")).abs().max()).item()
    apart = "" if moved is None else f"; without them no change of the log-odds moves by more than {decimal(moved)}"
    return [f"Erasers were fitted on {percent(share)} % of the items that are answered under them, too{apart}."]


def _not_told(table: pl.DataFrame, confidence: float) -> list[str]:
    """How many changes are told from random ones."""
    drawn = table.filter(pl.col("difference_low").is_not_null())
    told = drawn.filter((pl.col("difference_low") > 0) | (pl.col("difference_high") < 0))
    if not drawn.height:
        return []
    return [
        f"Told from random: {told.height} of {drawn.height} changes, each interval by itself; "
        f"about {(1 - confidence) * drawn.height:.0f} would be so by chance."
    ]


def _build(results: "Results") -> pl.DataFrame:
    return frame(results.mechanism.steering, results.statistics)


TABLE = Table(
    name="steering",
    section="steering",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.steering, confidence),
    planned=lambda study: bool(study.mechanism_files["steering"]),
)
