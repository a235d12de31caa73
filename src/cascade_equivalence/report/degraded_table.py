"""Whose the robustness in noise is: the cascade's, or its recogniser's? Falls of accuracy beside equal word errors."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.study import CascadeSpec, E2ESpec
from cascade_equivalence.report.chance import NOT_ABOVE, standing
from cascade_equivalence.report.columns import ENDS, Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import MARKS, UNDEFINED, Display, mark_legend, percent, points, points_interval
from cascade_equivalence.report.naming import NodeFile, Outline, condition_title, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.shown import PlannedStudy

SIDES = ("system", "reference", "degraded")
DIFFERENCES = ("system_less_reference", "system_less_degraded", "degraded_less_reference")
HEARD = ("word_error_rate", "insertion_rate", "looped")
COUNTS = ("word_errors", "inserted", "looped")
SCHEMA: Schema = {
    **dict.fromkeys(SIDES, pl.String),
    "task": pl.String,
    "condition": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **{f"{side}_{name}": pl.Float64 for side in SIDES for name in HEARD},
    **{f"{side}_accuracy": pl.Float64 for side in SIDES},
    **{f"{side}_against_chance": pl.String for side in SIDES},
    **{key: kind for side in SIDES for key, kind in estimate_schema(f"{side}_change").items()},
    **{key: kind for name in DIFFERENCES for key, kind in estimate_schema(name).items()},
    "reason": pl.String,
}
"""Speech LLM x its cascade x that cascade with errors added x task x noise. ``change``: accuracy in the noise minus on
clean speech; ``system_less_degraded``: change of the speech LLM minus that of the cascade with errors added, and so on,
clip by clip. Of the speech LLM word errors are those of its own transcription. ``insertion_rate``: words that nobody
said by words that were; ``looped``: share of transcripts with a loop."""


def trios(outline: Outline) -> Iterator[tuple[str, str, str]]:
    """Speech LLM, a cascade, and that cascade with as many word errors as the speech LLM's own transcription."""
    for name, spec in outline.systems.items():
        source = outline.degraded.get(spec.asr) if isinstance(spec, CascadeSpec) else None
        if source is None or not isinstance(spec, CascadeSpec):
            continue
        for cascade, other in outline.systems.items():
            if not isinstance(other, CascadeSpec) or (other.asr, other.llm) != (source.asr, spec.llm):
                continue
            for heard, ears in outline.systems.items():
                if isinstance(ears, E2ESpec) and ears.model == source.reference:
                    yield heard, cascade, name


def changes(pairs: Sequence[tuple[pl.DataFrame, pl.DataFrame]], confidence: float) -> dict[str, Any]:
    """Differences between the changes of the three systems, with their intervals.

    Args:
        pairs: Of speech LLM, cascade and the cascade with errors added: answers in noise, and clean ones, which may be
            of more voices.
        confidence: Level of the intervals.
    """
    from cascade_equivalence.report.mechanism_frames import reasons
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.join import join_pair
    from cascade_equivalence.stats.mean import mean
    from cascade_equivalence.stats.statistic import estimate

    joined = [join_pair(noisy, clean.filter(pl.col("voice").is_in(noisy["voice"].unique()))) for noisy, clean in pairs]
    keys = joined[0].select("id", "voice")
    assert all(keys.equals(each.select("id", "voice")) for each in joined)
    change = {
        side: each["system_correct"].cast(float).to_numpy() - each["reference_correct"].to_numpy()
        for side, each in zip(SIDES, joined, strict=True)
    }
    clusters = Clusters.of(joined[0]["group"].to_list())
    statistics = {
        name: mean(clusters, change[one] - change[other], "there are no rows")
        for name in DIFFERENCES
        for one, other in [name.split("_less_")]
    }
    found = estimate(statistics, clusters.count, confidence)
    row: dict[str, Any] = {"rows": keys.height, "groups": clusters.count, "reason": reasons(found)}
    for name, each in found.items():
        row |= estimate_values(name, {"value": each.value, "low": each.low, "high": each.high})
    return row


def _build(results: "Results") -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    noise = {(row["system"], row["task"], row["condition"]): row for row in results["noise"].iter_rows(named=True)}
    outline = results.outline
    for trio in trios(outline):
        source = outline.degraded[outline.parts(trio[2])["asr"] or ""]
        heard = (source.reference, source.asr, str(outline.parts(trio[2])["asr"]))
        for task, condition in dict.fromkeys((node.task, node.condition) for node in results.answers):
            if condition == CLEAN or not all((name, task, condition) in noise for name in trio):
                continue
            row: dict[str, Any] = dict(zip(SIDES, trio, strict=True)) | {"task": task, "condition": condition}
            for side, name, asr in zip(SIDES, trio, heard, strict=True):
                mine = noise[name, task, condition]
                row |= {f"{side}_{column}": mine[column] for column in ("accuracy", "against_chance")}
                row |= {f"{side}_change{end}": mine[f"change{end}"] for end in ENDS}
                errors = _errors(results["transcription"], asr, task, condition)
                row |= {f"{side}_{key}": value for key, value in errors}
            pairs = [
                (results.answers[NodeFile(name, task, condition)], results.answers[NodeFile(name, task, CLEAN)])
                for name in trio
            ]
            rows.append(row | changes(pairs, results.statistics.confidence))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _errors(transcription: pl.DataFrame, asr: str, task: str, condition: str) -> list[tuple[str, float | None]]:
    """Word errors of a source of transcripts over all voices."""
    mine = transcription.filter(asr=asr, task=task, condition=condition)
    words, clips, *counts = (int(mine[name].sum()) for name in ("reference_words", "clips", *COUNTS))
    if not words or not clips:
        return [(name, None) for name in HEARD]
    return [(name, count / of) for name, count, of in zip(HEARD, counts, (words, words, clips), strict=True)]


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a speech LLM, task and noise."""
    rows = [
        [
            row["system"],
            row["reference"],
            row["degraded"],
            task_title(row["task"]),
            condition_title(row["condition"]),
            *(_slashed(row, name) for name in HEARD),
            " / ".join(percent(row[f"{side}_accuracy"]) + MARKS[row[f"{side}_against_chance"]] for side in SIDES),
            " / ".join(points(row[f"{side}_change"]) for side in SIDES),
            *(_cell(row, name) for name in DIFFERENCES),
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="degraded",
        title="Noise, with word errors made equal",
        columns=[
            "Speech LLM",
            "Cascade",
            "Errors added",
            "Task",
            "Condition",
            "Word errors %",
            "Added words %",
            "Loops %",
            "Right %",
            "Change from clean",
            f"Speech LLM minus cascade [{confidence:.0%}]",
            "Speech LLM minus errors added",
            "Errors added minus cascade",
        ],
        rows=rows,
        remarks=[
            "Three numbers in a cell: the speech LLM's (word errors: of its own transcription), the cascade's, and "
            "those of that cascade with word errors added to what its recogniser writes until they are as many as the "
            "speech LLM's, in clean speech and in noise alike. Differences are between changes of accuracy, in points, "
            "clip by clip.",
            "A speech LLM that falls by more than the cascade, but as the one with errors added, lacks no more than a "
            "good recogniser: the robustness is that one's. An interval that holds 0 is no proof that both fall alike.",
            "Errors are added on the clips on which the speech LLM's own transcription has more of them, in its kinds; "
            "which words are wrong, and what stands in their place, is drawn.",
            *(
                [
                    "A difference with ‡ is between two that are both at chance in that noise: neither could fall "
                    "further, so that it says nothing of which hears worse."
                ]
                if any("‡" in "".join(row[-3:]) for row in rows)
                else []
            ),
            *mark_legend(cell for row in rows for cell in row),
        ],
        text_columns=5,
    )


def _slashed(row: dict[str, Any], name: str) -> str:
    return " / ".join(percent(row[f"{side}_{name}"]) for side in SIDES)


def _cell(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return UNDEFINED
    # Neither could fall further.
    ends = {standing(row[f"{side}_against_chance"]) for side in name.split("_less_")}
    mark = MARKS["at"] if ends == {NOT_ABOVE} else ""
    return points_interval(*(row[f"{name}{end}"] for end in ENDS)) + mark


def planned(study: "PlannedStudy") -> bool:
    """Where a cascade reads transcripts to which errors were added, in noise."""
    from cascade_equivalence.config.sources import DegradedSource

    known, models = study.config.definitions.systems, study.config.definitions.models
    read = [spec.asr for name in study.config.systems if isinstance(spec := known[name], CascadeSpec)]
    degraded = any(isinstance(models[asr].source, DegradedSource) for asr in read if asr in models)
    return degraded and bool(study.config.noise.conditions())


TABLE = Table(
    name="degraded",
    section="words",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.degraded, confidence),
    planned=planned,
)
