"""Which of two signs a speech LLM follows where they disagree: the words, or how they are said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import ORACLE, CascadeSpec, E2ESpec
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import UNDEFINED, Display, ends
from cascade_equivalence.report.naming import NodeFile, Outline, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.shown import PlannedStudy

NUMBERS = ("follows_words", "follows_tone", "otherwise", "difference")
SCHEMA: Schema = {
    "system": pl.String,
    "words": pl.String,
    "task": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **{key: kind for name in NUMBERS for key, kind in estimate_schema(name).items()},
    "reason": pl.String,
}
"""Speech LLM x task, among the clips whose right label is not what its LLM answers to the words alone.
``follows_words``: share answered as the words are; ``follows_tone``: share answered rightly; ``otherwise``: what that
share would be if each clip were answered as the same words in that voice are, however they are said; ``difference``:
the last two, where words are said in several manners."""
NO_CLIP = "the words alone are answered rightly, or not at all, on every clip"
NOT_OTHERWISE = "no such words are said in another manner as well"


def frame(
    answers: Mapping[NodeFile, pl.DataFrame],
    items: Mapping[str, pl.DataFrame],
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    """One row a speech LLM and task whose label does not lie in the words alone, on clean speech.

    Args:
        answers: Answers by system, task and condition.
        items: Items of each task, with their texts.
        labels: Closed label set of each task.
        outline: Names and order.
        statistics: Level of the intervals.
    """
    rows: list[dict[str, Any]] = []
    true = {
        spec.llm: name for name, spec in outline.systems.items() if isinstance(spec, CascadeSpec) and spec.asr == ORACLE
    }
    for system, spec in outline.systems.items():
        words = true.get(spec.model) if isinstance(spec, E2ESpec) else None
        for task in outline.ordered_tasks() if words else ():
            nodes = [NodeFile(str(name), task, CLEAN) for name in (system, words)]
            there = task in items and all(node in answers for node in nodes)
            if not labels.get(task) or TASKS[task].text_sufficient or not there:
                continue
            texts = dict(items[task].select("id", "text").iter_rows())
            heard, read = (answers[node] for node in nodes)
            row = {"system": system, "words": words, "task": task}
            rows.append(row | followed(heard, read, texts, statistics.confidence))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def followed(heard: pl.DataFrame, words: pl.DataFrame, texts: Mapping[str, str], confidence: float) -> dict[str, Any]:
    """What a speech LLM follows where the words alone lead astray.

    Args:
        heard: Its answers.
        words: Those of its LLM to the true texts, to the same clips.
        texts: The text of each item.
        confidence: Level of the intervals.
    """
    import numpy as np

    from cascade_equivalence.report.mechanism_frames import reasons
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.intervals import difference, share
    from cascade_equivalence.stats.join import join_pair
    from cascade_equivalence.stats.statistic import estimate
    from cascade_equivalence.vocabulary import INVALID

    joined = join_pair(heard, words)
    said = [(texts[name], voice) for name, voice in joined.select("id", "voice").iter_rows()]
    manners: dict[tuple[str, str], Counter[str]] = {}
    for place, answer in zip(said, joined["system_parsed"], strict=True):
        manners.setdefault(place, Counter())[answer] += 1
    # What a system that hears the words alone could not but do: answer all manners of one text in one voice alike.
    otherwise = [
        manners[place][label] / count if (count := manners[place].total()) > 1 else np.nan
        for place, label in zip(said, joined["label"], strict=True)
    ]
    joined = joined.with_columns(pl.Series("otherwise", otherwise, pl.Float64))
    astray = joined.filter(~pl.col("reference_correct"), pl.col("reference_parsed") != INVALID)
    if not astray.height:
        return {"rows": 0, "groups": 0, "reason": NO_CLIP}
    clusters, right = Clusters.of(astray["group"].to_list()), astray["system_correct"].to_numpy()
    chance = astray["otherwise"].to_numpy()
    # Shares have score intervals: near 0 that of a mean is too narrow with a dozen texts.
    there = np.isfinite(chance)
    alike = share(clusters, chance, NOT_OTHERWISE, there)
    found = estimate(
        {
            "follows_words": share(
                clusters, (astray["system_parsed"] == astray["reference_parsed"]).to_numpy(), NO_CLIP
            ),
            "follows_tone": share(clusters, right, NO_CLIP),
            "otherwise": alike,
            "difference": difference(
                share(clusters, right, NOT_OTHERWISE, there), alike, clusters.count, NOT_OTHERWISE
            ),
        },
        clusters.count,
        confidence,
    )
    row: dict[str, Any] = {"rows": astray.height, "groups": clusters.count, "reason": reasons(found)}
    for name, each in found.items():
        row |= estimate_values(name, {"value": each.value, "low": each.low, "high": each.high})
    return row


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a speech LLM and task."""
    rows = [
        [
            row["system"],
            row["words"],
            task_title(row["task"]),
            *(UNDEFINED if row[name] is None else ends(row, name, signed=name == "difference") for name in NUMBERS),
            f"{row['rows']:,} ({row['groups']:,})",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="tone",
        title="The words against the tone",
        columns=[
            "Speech LLM",
            "Words alone",
            "Task",
            f"Answered as the words are [{confidence:.0%}]",
            "Answered as it is said",
            "However it is said",
            "Difference",
            "Clips (groups)",
        ],
        rows=rows,
        remarks=[
            "Of the clips whose right label is not what the speech LLM's own LLM answers to the true text: the share "
            "that it answers as its LLM answers the words, and the share that it answers rightly, which only the voice "
            "can tell. However it is said: what that share would be if it answered each clip as it answers the same "
            "words in the same voice, in whatever manner; a difference of 0 is chance.",
        ],
        text_columns=3,
    )


def _planned(study: "PlannedStudy") -> bool:
    """Where a speech LLM and its LLM on the true text are asked a task whose label does not lie in the words alone."""
    known = [study.config.definitions.systems[name] for name in study.config.systems]
    true = {spec.llm for spec in known if isinstance(spec, CascadeSpec) and spec.asr == ORACLE}
    heard = {spec.model for spec in known if isinstance(spec, E2ESpec)}
    return bool(true & heard) and any(not TASKS[task].text_sufficient for task in study.config.tasks)


TABLE = Table(
    name="tone",
    section="conflict",
    schema=SCHEMA,
    build=lambda results: frame(results.answers, results.items, results.labels, results.outline, results.statistics),
    display=lambda tables, confidence: display(tables.tone, confidence),
    planned=_planned,
)
