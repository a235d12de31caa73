"""Whether a speech LLM and its cascade answer for the same words, as tidy columns and as a reader sees it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import Display, decimal, ends, percent
from cascade_equivalence.report.naming import in_order, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

CHANCE_MARK = " ‡"
ESTIMATES = ("agreement", "places", "difference", "heard_ceiling", "read_ceiling", "same_answer", "agreement_alike")
SCHEMA: Schema = {
    "model": pl.String,
    "task": pl.String,
    "items": pl.Int64,
    "groups": pl.Int64,
    "words": pl.Int64,
    "silent_words": pl.Int64,
    "not_found": pl.Int64,
    "other_labels": pl.Int64,
    **{column: kind for name in ESTIMATES for column, kind in estimate_schema(name).items()},
    "shuffled": pl.Float64,
    "above_chance": pl.Boolean,
    "reason": pl.String,
}
"""Model x task. ``agreement``: mean over items of Spearman's correlation, over words, of what each is to the answer
of the speech LLM, which hears, and of its text LLM, which reads the recogniser's transcript; ``places``: the same
with words of other texts of the same label at the same relative places, ``difference``: agreement minus that, and
``above_chance`` whether it is above 0; ``shuffled``: with the item's own words at shuffled places; ``heard_ceiling``:
heard with itself, words silenced a little wider; ``read_ceiling``: transcript with true text; ``same_answer``: share
of items on which both give the same label, ``agreement_alike``: the agreement on those. ``silent_words``: words
without a word in the transcript, which are left out; ``not_found``: clips whose words are not found in time, which
are left out; ``other_labels``: items without another text of the same label, held against texts of any."""
FEW_WORDS = "no item has enough words that both hear and read"


def frame(files: Iterable[Path], statistics: StatisticsConfig) -> pl.DataFrame:
    """One row a model and task.

    Args:
        files: What ``nodes.attributions`` wrote, of a model and task each.
        statistics: Level of the intervals, and seed of what items are held against.
    """
    found = files_about(files, ["model", "task"])
    rows = [
        _row(model, task, pl.read_parquet(found[model, task]), statistics)
        for model in dict.fromkeys(model for model, _ in found)
        for task in in_order([task for name, task in found if name == model])
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _row(model: str, task: str, words: pl.DataFrame, statistics: StatisticsConfig) -> dict[str, Any]:
    import numpy as np

    from cascade_equivalence.report.mechanism_frames import estimate_values, reasons
    from cascade_equivalence.stats.attribution import agreement, at_same_places, at_shuffled_places
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.mean import mean, numbers
    from cascade_equivalence.stats.statistic import estimate

    timed = words.filter(pl.col("place").is_not_null())
    not_found, words = words.height - timed.height, timed
    items = words.sort("id", "place").partition_by("id", maintain_order=True)
    groups, labels = ([str(item[name][0]) for item in items] for name in ("group", "label"))
    arms = {name: [numbers(item[name]) for item in items] for name in ("heard", "heard_again", "read", "read_again")}
    alike = np.array([item["heard_answer"][0] == item["read_answer"][0] for item in items], dtype=float)
    row = {"model": model, "task": task, "items": len(items), "groups": len(set(groups)), "words": words.height}
    row |= {"silent_words": words["read"].null_count(), "not_found": not_found, "other_labels": 0}
    if not items:
        return row | {"reason": FEW_WORDS}
    places, row["other_labels"] = at_same_places(arms["heard"], arms["read"], groups, labels, statistics.seed)
    values = {
        "agreement": agreement(arms["heard"], arms["read"]),
        "places": places,
        "heard_ceiling": agreement(arms["heard"], arms["heard_again"]),
        "read_ceiling": agreement(arms["read"], arms["read_again"]),
        "same_answer": alike,
    }
    values["difference"] = values["agreement"] - values["places"]
    values["agreement_alike"] = np.where(alike == 1, values["agreement"], np.nan)
    clusters = Clusters.of(groups)
    estimates = estimate(
        {name: mean(clusters, values[name], FEW_WORDS) for name in ESTIMATES}, clusters.count, statistics.confidence
    )
    for name, each in estimates.items():
        row |= estimate_values(name, each)
    shuffled = at_shuffled_places(arms["heard"], arms["read"], statistics.seed)
    low = estimates["difference"].low
    return row | {
        "shuffled": float(np.nanmean(shuffled)) if np.isfinite(shuffled).any() else None,
        "above_chance": None if low is None else low > 0,
        "reason": reasons(estimates),
    }


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a model and task."""
    rows = [
        [
            row["model"],
            task_title(row["task"]),
            ends(row, "agreement") + ("" if row["above_chance"] else CHANCE_MARK),
            ends(row, "places"),
            decimal(row["shuffled"]),
            ends(row, "heard_ceiling"),
            ends(row, "read_ceiling"),
            percent(row["same_answer"]),
            ends(row, "agreement_alike"),
            f"{row['items']:,} ({row['groups']:,})",
            f"{row['words']:,}",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="attributions",
        title="Whether heard and read answers rest on the same words",
        columns=[
            "Model",
            "Task",
            f"Heard and read [{confidence:.0%}]",
            "Same places, other texts",
            "Shuffled",
            "Heard twice",
            "Read twice",
            "Same answer %",
            "Where the answer is the same",
            "Items (texts)",
            "Words",
        ],
        rows=rows,
        remarks=[
            "Each word is taken out: silenced in the clip, and left out of the transcript that the model's own text "
            "LLM reads. What it is to the answer is the fall of the log-odds of the right label, the same in both, so "
            "that both are asked for the same thing whatever they answer. Heard and read: Spearman's correlation of "
            "the two over an item's words, mean over items.",
            "Same places, other texts: the words read are those of other texts of the same label at the same relative "
            "places; it is what a word's place alone gives. Shuffled: the item's own words in another order. "
            f"{CHANCE_MARK.strip()}: at chance, the agreement is not shown to be above that of the same places.",
            "Ceilings: heard twice, with silences that begin and end 40 ms further out; read twice, transcript and "
            "true text. When a word is spoken is read off Whisper's cross-attention, so that some of its sound may "
            "stay or a neighbour's go with it: the ceiling of what is heard has that in it.",
            "The same answer is no proof of the same grounds: systems that agree on answers may rest on other words "
            "(arXiv:2606.32008).",
            *_left_out(table),
            *dict.fromkeys(
                f"{row['model']}, {task_title(row['task'])}: {row['reason']}."
                for row in table.filter(pl.col("reason").is_not_null()).iter_rows(named=True)
            ),
        ],
        text_columns=2,
    )


def _left_out(table: pl.DataFrame) -> list[str]:
    """Clips whose words are not found, and items without others of their label, where there are any."""
    told = {
        "not_found": "clips are left out: Whisper finds no word's time in them, or they are longer than it hears",
        "other_labels": "items have no other text of their label, and are held against texts of any",
    }
    return [
        f"{row['model']}, {task_title(row['task'])}: {row[name]:,} {what}."
        for row in table.iter_rows(named=True)
        for name, what in told.items()
        if row[name]
    ]


def _build(results: "Results") -> pl.DataFrame:
    return frame(results.mechanism.attributions, results.statistics)


TABLE = Table(
    name="attributions",
    section="mechanism",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.attributions, confidence),
    planned=lambda study: bool(study.mechanism_files["attributions"]),
)
