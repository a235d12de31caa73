"""How far answers follow states that were heard, and states that were read, as tidy columns and as a reader sees it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.mechanism import WORD_POSITIONS
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, decimal, ends
from cascade_equivalence.report.mechanism_names import HEARD, READ
from cascade_equivalence.report.naming import in_order, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.statistic import Statistic

ARMS = {"heard": HEARD, "read": READ}
PLACES = {
    "behind": "all behind the speech",
    "last": "the last token",
    "words": "all words",
    "first_half": "the first half of the words",
    "second_half": "the second half of the words",
    "words_reversed": "all words, in reverse",
}
"""Behind the speech: the tokens that all prompts of the task end in."""
SCHEMA: Schema = {
    "model": pl.String,
    "task": pl.String,
    "positions": pl.String,
    "layer": pl.Int64,
    "pairs": pl.Int64,
    "groups": pl.Int64,
    **estimate_schema("heard"),
    **estimate_schema("read"),
    **estimate_schema("difference"),
    **{column: kind for name in ARMS for column, kind in estimate_schema(f"{name}_apart").items()},
    "reason": pl.String,
}
"""Model x task x positions x layer. ``heard``, ``read``: share of the log-odds between two items that states of the
one, heard or read, carry into the run of the other, which is read; ``difference``: heard minus read; ``apart``: mean
log-odds, in nats, between the two runs, of which it is the share. ``groups``: clusters of pairs that share no text."""
STANDARD_ERRORS = 3.0
"""How far off 0 the log-odds between runs must lie for a share of them to be told."""
NO_PAIR = "no two items have different labels"
NOT_APART = "the two runs do not differ in the log-odds of the labels"
HALF = 0.5
AT_WORDS = (
    "At words: the target reads the source's prompt with the other item's words in it, as many tokens of them as the "
    "source has (cut short, or begun again), and the state of each word's token is put where that token was; of what "
    "was heard, the mean of the vectors that lie along the path of most alike states of this layer. There a share near "
    "1 at early layers says that the answer is still at the words, and that what was heard there stands for them; at "
    "the last layer it is 0 for any model. In reverse: each token has the state of another, the first one that of the "
    "last (of an odd number the middle one has its own); what goes over then needs no order of words and no "
    "alignment: a bag of them is enough."
)


def frame(files: Iterable[Path], statistics: StatisticsConfig) -> pl.DataFrame:
    """One row a model, task, place and layer.

    Args:
        files: What ``nodes.patching`` wrote, of a model and task each.
        statistics: Level of the intervals.
    """
    from cascade_equivalence.report.mechanism_frames import estimate_values, reasons
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.statistic import estimate

    found = files_about(files, ["model", "task"])
    rows: list[dict[str, Any]] = []
    for model in dict.fromkeys(model for model, _ in found):
        for task in in_order([task for name, task in found if name == model]):
            table = pl.read_parquet(found[model, task])
            if not table.height:
                rows.append({"model": model, "task": task, "pairs": 0, "groups": 0, "reason": NO_PAIR})
            pairs = ["source_id", "target_id"]
            places = table.select("positions", "layer").unique().rows()
            for positions, layer in sorted(places, key=lambda place: (list(PLACES).index(place[0]), place[1])):
                part = table.filter(positions=positions, layer=layer)
                sides = {name: part.filter(arm=arm).sort(*pairs) for name, arm in ARMS.items()}
                clusters = Clusters.of(sides["read"]["cluster"].to_list())
                estimates = estimate(_shares(clusters, sides), clusters.count, statistics.confidence)
                row = {"model": model, "task": task, "positions": positions, "layer": layer}
                row |= {"pairs": sides["read"].height, "groups": clusters.count, "reason": reasons(estimates)}
                for name, each in estimates.items():
                    row |= estimate_values(name, each)
                rows.append(row)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _shares(clusters: "Clusters", sides: Mapping[str, pl.DataFrame]) -> "dict[str, Statistic]":
    import numpy as np

    from cascade_equivalence.stats.jackknife import smooth
    from cascade_equivalence.stats.mean import is_off_zero, mean, ratio
    from cascade_equivalence.stats.statistic import Statistic

    nothing = Statistic(lambda weights: np.full(len(weights), np.nan), NOT_APART)
    found = {}
    for name, side in sides.items():
        moved, apart = ((side[column] - side["target"]).to_numpy() for column in ("patched", "source"))
        found[f"{name}_apart"] = mean(clusters, apart, NO_PAIR)
        told = is_off_zero(clusters, apart, STANDARD_ERRORS)
        found[name] = ratio(clusters, moved, apart, NOT_APART) if told else nothing
    heard, read = (found[name] for name in ARMS)
    both = nothing not in (heard, read)
    found["difference"] = (
        smooth(lambda weights: heard.of(weights) - read.of(weights), clusters.count, NOT_APART, rests_on=clusters.count)
        if both
        else nothing
    )
    return found


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a model, task and layer; states behind the speech, then those of the last token."""
    rows = [
        [
            row["model"],
            task_title(row["task"]),
            PLACES.get(row["positions"], NOT_RUN),
            NOT_RUN if row["layer"] is None else str(row["layer"]),
            *(ends(row, name) if row[name] is not None else UNDEFINED for name in ARMS),
            ends(row, "difference", signed=True) if row["difference"] is not None else UNDEFINED,
            *(NOT_RUN if row["layer"] is None else decimal(row[f"{name}_apart"], signed=True) for name in ARMS),
            f"{row['pairs']:,} ({row['groups']:,})",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="patching",
        title="How far an answer follows states of another run, heard or read",
        columns=[
            "Model",
            "Task",
            "States",
            "Layer",
            f"Heard [{confidence:.0%}]",
            "Read",
            "Heard minus read",
            "Apart, heard",
            "Apart, read",
            "Pairs (clusters)",
        ],
        rows=rows,
        remarks=[
            "Two items with different labels. The target is read as text; at one layer its states behind the speech, "
            "at the tokens that all prompts of the task end in, are replaced by those of the source, which was heard "
            "or read. "
            "Shown is the share of the log-odds between the two labels that goes over: 0 where the target's answer "
            "stays, 1 where it becomes the source's. Apart: those log-odds, in nats a pair, without any exchange.",
            *([AT_WORDS] if table["positions"].is_in(WORD_POSITIONS).any() else []),
            "Where a model makes its answer from sound as it makes it from text, states that were heard carry over as "
            "much as states that were read, at the same layers. At the last layer the last token decides alone, so the "
            "share of the first answer token is 1 there for any model.",
            "A share is told only where the log-odds between the runs lie three standard errors above 0. Each pair is "
            "taken both ways round; intervals count whole clusters of pairs that share no text (jackknife).",
            *_halves(table),
            *dict.fromkeys(
                f"{row['model']}, {task_title(row['task'])}: {row['reason']}."
                for row in table.filter(pl.col("reason").is_not_null()).iter_rows(named=True)
            ),
        ],
        text_columns=3,
    )


def _halves(table: pl.DataFrame) -> list[str]:
    """The first layer at which half of the answer has left the speech, heard and read."""
    told = []
    for (model, task), part in table.filter(positions="behind").group_by("model", "task", maintain_order=True):
        first: dict[str, Any] = {name: part.filter(pl.col(name) >= HALF)["layer"].min() for name in ARMS}
        if any(layer is not None for layer in first.values()):
            where = {name: "at none" if layer is None else f"first at layer {layer}" for name, layer in first.items()}
            told.append(f"{model}, {task_title(str(task))}: {', '.join(map(' '.join, where.items()))}")
    return [f"Half of the answer stands behind the speech: {'; '.join(told)}."] if told else []


def _build(results: "Results") -> pl.DataFrame:
    return frame(results.mechanism.patching, results.statistics)


TABLE = Table(
    name="patching",
    section="patching",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.patching, confidence),
    planned=lambda study: bool(study.mechanism_files["patching"]),
)
