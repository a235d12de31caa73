"""Which of two texts wins, the heard one or the typed one; and which of two signs, the words or the tone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import ORACLE, CascadeSpec, E2ESpec
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import MARK_LEGEND, MARKS, UNDEFINED, Display, decimal, ends, percent
from cascade_equivalence.report.naming import NodeFile, Outline, in_order, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.shown import PlannedStudy
    from cascade_equivalence.stats.statistic import Statistic

SIDES = ("system", "reference")
NUMBERS = (*(f"{side}_{name}" for side in SIDES for name in ("dominance", "log_odds")), "difference")
SCHEMA: Schema = {
    **dict.fromkeys(SIDES, pl.String),
    "match": pl.String,
    "task": pl.String,
    "prompts": pl.Int64,
    "groups": pl.Int64,
    **{f"{side}_{name}": pl.Float64 for side in SIDES for name in ("typed", "heard")},
    **{key: kind for name in NUMBERS for key, kind in estimate_schema(name).items()},
    "reason": pl.String,
}
"""Speech LLM x cascade x task. ``typed``, ``heard``: share of prompts answered with the label of the text that is
typed, and of the one that is heard; ``dominance``: the first among those answered with either; ``difference``: the
speech LLM's minus the cascade's; ``log_odds``: of the typed text's label against the heard one's, in nats, a mean."""
NEITHER = "no prompt was answered with the label of either text"
TONE_SCHEMA: Schema = {
    "system": pl.String,
    "words": pl.String,
    "task": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate_schema("follows_words"),
    **estimate_schema("follows_tone"),
    "own_chance": pl.Float64,
    "against_chance": pl.String,
    "reason": pl.String,
}
"""Speech LLM x task, among the clips whose right label is not what its LLM answers to the words alone.
``follows_words``: share answered as the words are, ``follows_tone``: share answered rightly; ``own_chance``: what the
latter would be if its answers were given to other clips."""
NO_CLIP = "the words alone are answered rightly, or not at all, on every clip"


def frame(files: Iterable[Path], pairs: Iterable[tuple[str, str, str]], statistics: StatisticsConfig) -> pl.DataFrame:
    """One row a speech LLM, cascade and task.

    Args:
        files: What ``nodes.conflict`` wrote, of a system and task each.
        pairs: Speech LLM, cascade, and how their LLMs match.
        statistics: Level of the intervals.
    """
    found = {of: pl.read_parquet(path) for of, path in files_about(files, ["system", "task"]).items()}
    rows: list[dict[str, Any]] = []
    for system, reference, match in pairs:
        for task in in_order({task for name, task in found if name == system and (reference, task) in found}):
            both = {"system": found[system, task], "reference": found[reference, task]}
            row = {"system": system, "reference": reference, "match": match, "task": task}
            rows.append(row | _compared(both, statistics.confidence))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _compared(both: Mapping[str, pl.DataFrame], confidence: float) -> dict[str, Any]:
    from cascade_equivalence.report.mechanism_frames import reasons
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.intervals import difference, share
    from cascade_equivalence.stats.mean import mean
    from cascade_equivalence.stats.statistic import estimate

    statistics: dict[str, Statistic] = {}
    row: dict[str, Any] = {"prompts": both["system"].height}
    for side, whole in both.items():
        table = whole.sort("source_id", "target_id", "variant")
        clusters = Clusters.of(table["cluster"].to_list())
        typed, heard = ((table["parsed"] == table[f"{name}_label"]).to_numpy() for name in ("typed", "heard"))
        row |= {"groups": clusters.count, f"{side}_typed": typed.mean(), f"{side}_heard": heard.mean()}
        statistics[f"{side}_dominance"] = share(clusters, typed, NEITHER, typed | heard)
        statistics[f"{side}_log_odds"] = mean(clusters, table["log_odds"].to_numpy(), "there are no prompts")
    one, other = (statistics[f"{side}_dominance"] for side in SIDES)
    statistics["difference"] = difference(one, other, row["groups"], NEITHER)
    found = estimate(statistics, row["groups"], confidence)
    for name, each in found.items():
        row |= estimate_values(name, {"value": each.value, "low": each.low, "high": each.high})
    return row | {"reason": reasons(found)}


def _pairs(results: "Results") -> Iterator[tuple[str, str, str]]:
    """Pairs of a speech LLM and a cascade, the speech LLM first."""
    known = results.outline.systems
    for row in results["agreement"].select(*SIDES, "match").unique(maintain_order=True).iter_rows():
        one, other, match = row
        for system, reference in ((one, other), (other, one)):
            if isinstance(known[system], E2ESpec) and isinstance(known[reference], CascadeSpec):
                yield system, reference, match


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a speech LLM, cascade and task."""
    rows = [
        [
            row["system"],
            row["reference"],
            row["match"],
            task_title(row["task"]),
            *(" / ".join(percent(row[f"{side}_{name}"]) for name in ("typed", "heard")) for side in SIDES),
            *(_cell(row, f"{side}_dominance") for side in SIDES),
            _cell(row, "difference", signed=True),
            *(_cell(row, f"{side}_log_odds", signed=True) for side in SIDES),
            f"{row['prompts']:,} ({row['groups']:,})",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="conflict",
        title="What is heard against what is typed",
        columns=[
            "Speech LLM",
            "Cascade",
            "Match",
            "Task",
            "Typed / heard %, speech LLM",
            "Typed / heard %, cascade",
            f"Text dominance, speech LLM [{confidence:.0%}]",
            "Text dominance, cascade",
            "Difference",
            "Log-odds, speech LLM",
            "Log-odds, cascade",
            "Prompts (clusters)",
        ],
        rows=rows,
        remarks=[
            "Two items with different labels in one prompt, each pair both ways round and in every wording of the "
            "config: the speech LLM hears the one, the cascade reads its transcript; the text of the other is typed. "
            "Text dominance: of the prompts answered with the label of either, the share answered with that of the "
            "typed text. Log-odds: of the typed text's label against the heard one's, in nats, a mean over prompts.",
            "A system that gives one answer to everything has 0.5, and so has one that follows whichever comes first.",
        ],
        text_columns=4,
    )


def _cell(row: Mapping[str, Any], name: str, *, signed: bool = False) -> str:
    return UNDEFINED if row[name] is None else ends(row, name, signed=signed)


def tone_frame(
    answers: Mapping[NodeFile, pl.DataFrame],
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    """One row a speech LLM and task whose label does not lie in the words alone, on clean speech.

    Args:
        answers: Answers by system, task and condition.
        labels: Closed label set of each task.
        outline: Names and order.
        statistics: Level of the intervals.
    """
    rows: list[dict[str, Any]] = []
    for system, spec in outline.systems.items():
        for words, other in outline.systems.items() if isinstance(spec, E2ESpec) else ():
            if not isinstance(other, CascadeSpec) or (other.asr, other.llm) != (ORACLE, spec.model):  # type: ignore[union-attr]
                continue
            for task in outline.ordered_tasks():
                nodes = [NodeFile(name, task, CLEAN) for name in (system, words)]
                if not labels.get(task) or TASKS[task].text_sufficient or not all(node in answers for node in nodes):
                    continue
                row = {"system": system, "words": words, "task": task}
                rows.append(row | _followed(*(answers[node] for node in nodes), confidence=statistics.confidence))
    return pl.DataFrame(rows, schema=TONE_SCHEMA, orient="row")


def _followed(heard: pl.DataFrame, words: pl.DataFrame, *, confidence: float) -> dict[str, Any]:
    """What a speech LLM follows where the words alone lead astray."""
    from cascade_equivalence.report.mechanism_frames import reasons
    from cascade_equivalence.stats.accuracy import against_chance
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.intervals import share
    from cascade_equivalence.stats.join import join_pair
    from cascade_equivalence.stats.statistic import estimate
    from cascade_equivalence.vocabulary import INVALID

    joined = join_pair(heard, words).filter(~pl.col("reference_correct"), pl.col("reference_parsed") != INVALID)
    if not joined.height:
        return {"rows": 0, "groups": 0, "reason": NO_CLIP}
    clusters = Clusters.of(joined["group"].to_list())
    as_words = (joined["system_parsed"] == joined["reference_parsed"]).to_numpy()
    found = estimate(
        {
            "follows_words": share(clusters, as_words, NO_CLIP),
            "follows_tone": share(clusters, joined["system_correct"].to_numpy(), NO_CLIP),
        },
        clusters.count,
        confidence,
    )
    row: dict[str, Any] = {"rows": joined.height, "groups": clusters.count, "reason": reasons(found)}
    for name, each in found.items():
        row |= estimate_values(name, {"value": each.value, "low": each.low, "high": each.high})
    return row | against_chance(joined["system_parsed"], joined["label"], clusters, confidence)


def tone_display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a speech LLM and task."""
    rows = [
        [
            row["system"],
            row["words"],
            task_title(row["task"]),
            _cell(row, "follows_words"),
            _cell(row, "follows_tone") + MARKS[row["against_chance"]],
            decimal(row["own_chance"]),
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
            "By chance",
            "Clips (groups)",
        ],
        rows=rows,
        remarks=[
            "Of the clips whose right label is not what the speech LLM's own LLM answers to the true text: the share "
            "that it answers as its LLM answers the words, and the share that it answers rightly, which only the voice "
            "can tell. By chance: what the latter would be if its answers were given to other of these clips.",
            *(f"{mark} {legend}" for mark, legend in MARK_LEGEND.items() if any(mark in "".join(row) for row in rows)),
        ],
        text_columns=3,
    )


def _tone_planned(study: "PlannedStudy") -> bool:
    """Where a speech LLM and its LLM on the true text are asked a task whose label does not lie in the words alone."""
    known = [study.config.definitions.systems[name] for name in study.config.systems]
    true = {spec.llm for spec in known if isinstance(spec, CascadeSpec) and spec.asr == ORACLE}
    heard = {spec.model for spec in known if isinstance(spec, E2ESpec)}
    return bool(true & heard) and any(not TASKS[task].text_sufficient for task in study.config.tasks)


TABLE = Table(
    name="conflict",
    section="conflict",
    schema=SCHEMA,
    build=lambda results: frame(results.mechanism.conflict, _pairs(results), results.statistics),
    display=lambda tables, confidence: display(tables.conflict, confidence),
    planned=lambda study: bool(study.mechanism_files["conflict"]),
)
TONE_TABLE = Table(
    name="tone",
    section="conflict",
    schema=TONE_SCHEMA,
    build=lambda results: tone_frame(results.answers, results.labels, results.outline, results.statistics),
    display=lambda tables, confidence: tone_display(tables.tone, confidence),
    planned=_tone_planned,
)
