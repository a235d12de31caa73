"""The tidy tables of systems: what they get right, in noise as well, and how well those that transcribe hear."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.transcription.words import EDITS
from cascade_equivalence.report.columns import PLACE, Schema, estimate_schema, estimate_values, place_values
from cascade_equivalence.report.naming import NodeFile, Outline
from cascade_equivalence.report.system_tables import accuracy, noise, transcription
from cascade_equivalence.report.table import Table

ACCURACY: Schema = {
    "system": pl.String,
    "kind": pl.String,
    "asr": pl.String,
    "llm": pl.String,
    "model": pl.String,
    **PLACE,
    "voices": pl.Int64,
    "rows": pl.Int64,
    "groups": pl.Int64,
    "correct": pl.Int64,
    "parsed": pl.Int64,
    **estimate_schema("accuracy"),
    **estimate_schema("parse_rate"),
    **estimate_schema("accuracy_among_parsed"),
    "reason": pl.String,
    "chance": pl.Float64,
    "majority": pl.Float64,
    "own_chance": pl.Float64,
    "against_chance": pl.String,
}
NOISE: Schema = ACCURACY | estimate_schema("change")
TRANSCRIPTION: Schema = {
    "asr": pl.String,
    "kind": pl.String,
    **PLACE,
    "voice": pl.String,
    "clips": pl.Int64,
    "reference_words": pl.Int64,
    "word_errors": pl.Int64,
    "word_error_rate": pl.Float64,
    **dict.fromkeys((*EDITS, "looped"), pl.Int64),
}
COUNTED = ("reference_words", "word_errors", *EDITS, "looped")
"""Columns of transcripts that are summed over clips; ``looped`` is a number of clips then."""
COPIED = ("voices", "rows", "groups", "correct", "parsed", "own_chance", "against_chance")


def accuracy_frame(
    answers: Mapping[NodeFile, pl.DataFrame],
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    """What each system gets right of each task, clean speech, all voices pooled.

    Args:
        answers: Answers by system, task and condition.
        labels: Closed label set of each task; empty for open answers.
        outline: Names and order.
        statistics: Level of the intervals.
    """
    rows = [
        _accuracy_row(node, table, labels[node.task], outline, statistics)
        for node, table in answers.items()
        if node.condition == CLEAN
    ]
    return outline.sort(pl.DataFrame(rows, schema=ACCURACY, orient="row"))


def _accuracy_row(
    node: NodeFile, answers: pl.DataFrame, labels: Sequence[str], outline: Outline, statistics: StatisticsConfig
) -> dict[str, Any]:
    from cascade_equivalence.stats.accuracy import summarise

    whose = f"the answers of {node.who} to {node.task} ({node.condition})"
    found = summarise(answers, labels, whose=whose, confidence=statistics.confidence)
    return {
        "system": node.who,
        **outline.parts(node.who),
        **place_values(node.task, node.condition),
        **{name: found[name] for name in COPIED},
        **estimate_values("accuracy", found["accuracy"]),
        **estimate_values("parse_rate", found["parse_rate"]),
        **estimate_values("accuracy_among_parsed", found["accuracy_among_parsed"]),
        "reason": found["accuracy"]["reason"],
        "chance": found["levels"]["chance"],
        "majority": found["levels"]["majority"],
    }


def noise_frame(
    answers: Mapping[NodeFile, pl.DataFrame],
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    """The same of the systems and tasks that are run in noise, on the voices that are heard in it, clean included.

    Raises:
        StudyError: A condition lacks voices that others have, or clean speech is missing.
    """
    from cascade_equivalence.stats.accuracy import change

    rows = []
    for who, task in sorted({(node.who, node.task) for node in answers if node.condition != CLEAN}):
        mine = {node: table for node, table in answers.items() if (node.who, node.task) == (who, task)}
        noisy = {node: set(table["voice"]) for node, table in mine.items() if node.condition != CLEAN}
        voices = set.union(*noisy.values())
        if uneven := [node.condition for node, heard in noisy.items() if heard != voices]:
            raise StudyError(
                f"{who} on {task}: {', '.join(uneven)} lack some of the voices {', '.join(sorted(voices))}"
            )
        if (clean := mine.get(NodeFile(who, task, CLEAN))) is None:
            raise StudyError(f"{who} on {task} was run in noise but not on clean speech; there is nothing to compare")
        # Only the voices that are heard in noise: the other voices would shift the baseline (Table 2 of the paper has
        # six voices, its Figure 3 has two).
        baseline = clean.filter(pl.col("voice").is_in(list(voices)))
        rows.append(_accuracy_row(NodeFile(who, task, CLEAN), baseline, labels[task], outline, statistics))
        for node in noisy:
            row = _accuracy_row(node, mine[node], labels[task], outline, statistics)
            difference = change(mine[node], baseline, confidence=statistics.confidence)
            rows.append(row | estimate_values("change", vars(difference)))
    return outline.sort(pl.DataFrame(rows, schema=NOISE, orient="row"))


def transcription_frame(transcripts: Mapping[NodeFile, pl.DataFrame], outline: Outline) -> pl.DataFrame:
    """Word errors of each origin of transcripts, task, condition and voice.

    Args:
        transcripts: Transcripts by origin, task and condition.
        outline: Names and order.
    """
    rows = []
    for node, table in transcripts.items():
        by_voice = table.group_by("voice")
        counted = by_voice.agg(clips=pl.len(), **{name: pl.sum(name) for name in COUNTED})
        for found in counted.iter_rows(named=True):
            rows.append(
                {
                    "asr": node.who,
                    "kind": outline.asr_kind(node.who),
                    **place_values(node.task, node.condition),
                    **found,
                    "word_error_rate": found["word_errors"] / words if (words := found["reference_words"]) else None,
                }
            )
    return outline.sort(pl.DataFrame(rows, schema=TRANSCRIPTION, orient="row"))


ACCURACY_TABLE = Table(
    name="accuracy",
    section="accuracy",
    schema=ACCURACY,
    build=lambda results: accuracy_frame(results.answers, results.labels, results.outline, results.statistics),
    display=lambda tables, confidence: accuracy(tables.accuracy, confidence),
)
NOISE_TABLE = Table(
    name="noise",
    section="noise",
    schema=NOISE,
    build=lambda results: noise_frame(results.answers, results.labels, results.outline, results.statistics),
    display=lambda tables, confidence: noise(tables.noise, confidence),
)
TRANSCRIPTION_TABLE = Table(
    name="transcription",
    section="transcription",
    schema=TRANSCRIPTION,
    build=lambda results: transcription_frame(results.transcripts, results.outline),
    display=lambda tables, _: transcription(tables.transcription),
)
