"""The study's tidy tables from the nodes' files."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report import groupings_table, ranking_table, retest_table, surplus_table
from cascade_equivalence.report.columns import Schema, spread
from cascade_equivalence.report.costs import clip_seconds, costs_table
from cascade_equivalence.report.equivalence_verdicts import with_verdicts
from cascade_equivalence.report.eraser_frame import erasers_table
from cascade_equivalence.report.erasure_frame import erasure_tables
from cascade_equivalence.report.mechanism_frames import lens_table
from cascade_equivalence.report.mechanism_names import MechanismFiles
from cascade_equivalence.report.naming import Node, Outline, nodes
from cascade_equivalence.report.pair_frames import contrasts_frame, pair_frames, place
from cascade_equivalence.report.probe_frame import probes_table
from cascade_equivalence.report.shared_errors import SCHEMA as SHARED_ERRORS
from cascade_equivalence.report.shared_errors import shared_errors
from cascade_equivalence.report.sufficiency_frame import sufficiency_table
from cascade_equivalence.report.tables import ACCURACY, NOISE, TRANSCRIPTION, Tables
from cascade_equivalence.stats.accuracy import change, summarise

NOTHING_OPENED = MechanismFiles()
COPIED = ("voices", "rows", "groups", "correct", "parsed", "own_chance", "against_chance")
NO_EXAMPLES = pl.DataFrame(schema=SHARED_ERRORS)


def build_tables(
    answer_files: Iterable[Path],
    agreement_files: Iterable[Path],
    contrast_files: Iterable[Path],
    transcript_files: Iterable[Path],
    *,
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
    mechanism: MechanismFiles = NOTHING_OPENED,
    speech_files: Iterable[Path] = (),
    item_files: Mapping[str, Path] = MappingProxyType({}),
    surplus_files: Mapping[str, Path] = MappingProxyType({}),
    retest_files: Iterable[Path] = (),
) -> Tables:
    """Build a study's tables.

    Args:
        answer_files: ``.../{system}/{task}/{condition}.parquet``.
        agreement_files: ``.../{system}~{reference}/{task}/{condition}.json``, what ``compare`` gives, and ``match``.
        contrast_files: ``.../{system}~{first}~{second}/{task}/{condition}.json``, what ``contrast`` gives, and
            ``match_first`` and ``match_second``.
        transcript_files: ``.../{asr}/{task}/{condition}.parquet``.
        labels: Closed label set of each task; empty for open answers.
        outline: Names and order.
        statistics: Draws, level and seed of the intervals that are made here; false discovery rate of the tests.
        mechanism: Files about the inside of opened models.
        speech_files: ``.../{task}/{voice}/{condition}.parquet``, for the costs of a second of speech.
        item_files: Items of each task, for examples of shared errors and for wider groups.
        surplus_files: By task, what the audio tells beyond the transcripts.
        retest_files: How far systems that are asked again agree with themselves.

    Returns:
        The tables, sorted for a reader.

    Raises:
        StudyError: A file is about something outside the study, or the files of one study do not fit together.
    """
    answer_nodes, agreement_nodes, contrast_nodes, transcript_nodes = map(
        nodes, (answer_files, agreement_files, contrast_files, transcript_files)
    )
    outline.check([*answer_nodes, *agreement_nodes, *contrast_nodes, *transcript_nodes])
    answers = {node: pl.read_parquet(path) for node, path in answer_nodes.items()}
    transcripts = {node: pl.read_parquet(path) for node, path in transcript_nodes.items()}
    items = {task: pl.read_parquet(path) for task, path in item_files.items()}
    clean = [
        _accuracy_row(node, table, labels[node.task], outline, statistics)
        for node, table in answers.items()
        if node.condition == CLEAN
    ]
    accuracy = outline.sort(_frame(clean, ACCURACY))
    pairs = pair_frames(agreement_nodes, outline, statistics)
    contrasts = contrasts_frame(contrast_nodes, outline, statistics)
    pairs["equivalence"] = with_verdicts(pairs["equivalence"], pairs["agreement"], contrasts, statistics)
    noise = outline.sort(_noise(answers, labels, outline, statistics))
    noisy = noise.filter(pl.col("condition") != CLEAN).select(accuracy.columns)
    retest = retest_table.frame(retest_files, outline)
    for name in ("agreement", "equivalence"):
        pairs[name] = retest_table.beside(pairs[name], retest)
    erasure, erasure_controls = erasure_tables(mechanism.erasure, labels, statistics)
    matches = {(row[0], row[1]): row[2] for row in pairs["agreement"].select("system", "reference", "match").rows()}
    # Without clean speech there is nothing that noise could turn.
    heard_clean = (pl.col("condition") == CLEAN).any().over("system", "reference", "task")
    return Tables(
        accuracy=accuracy,
        **pairs,
        groupings=groupings_table.frame(answers, pairs["agreement"], items, labels, outline, statistics),
        retest=retest,
        contrasts=contrasts,
        noise=noise,
        ranking=ranking_table.frame(answers, pairs["agreement"].filter(heard_clean), labels, statistics),
        transcription=outline.sort(_transcription(transcripts, outline)),
        shared_errors=shared_errors(answers, transcripts, items, outline, matches=matches) if items else NO_EXAMPLES,
        costs=costs_table(answers, transcripts, clip_seconds(speech_files), outline, pl.concat([accuracy, noisy])),
        surplus=surplus_table.frame(surplus_files),
        probes=probes_table(mechanism.probes, statistics),
        lens=lens_table(mechanism.lens, statistics),
        sufficiency=sufficiency_table(accuracy, pairs["agreement"], contrasts, outline),
        erasers=erasers_table(mechanism.erasers),
        erasure=erasure,
        erasure_controls=erasure_controls,
    )


def _frame(rows: list[dict[str, Any]], schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def _accuracy_row(
    node: Node, answers: pl.DataFrame, labels: Sequence[str], outline: Outline, statistics: StatisticsConfig
) -> dict[str, Any]:
    whose = f"the answers of {node.who} to {node.task} ({node.condition})"
    found = summarise(answers, labels, whose=whose, confidence=statistics.confidence)
    return {
        "system": node.who,
        **outline.parts(node.who),
        **place(node),
        **{name: found[name] for name in COPIED},
        **spread("accuracy", found["accuracy"]),
        **spread("parse_rate", found["parse_rate"]),
        **spread("accuracy_among_parsed", found["accuracy_among_parsed"]),
        "reason": found["accuracy"]["reason"],
        "chance": found["levels"]["chance"],
        "majority": found["levels"]["majority"],
    }


def _noise(
    answers: Mapping[Node, pl.DataFrame],
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    rows = []
    for who, task in sorted({(node.who, node.task) for node in answers if node.condition != CLEAN}):
        mine = {node: table for node, table in answers.items() if (node.who, node.task) == (who, task)}
        noisy = {node: set(table["voice"]) for node, table in mine.items() if node.condition != CLEAN}
        voices = set.union(*noisy.values())
        if uneven := [node.condition for node, heard in noisy.items() if heard != voices]:
            raise StudyError(
                f"{who} on {task}: {', '.join(uneven)} lack some of the voices {', '.join(sorted(voices))}"
            )
        if (clean := mine.get(Node(who, task, CLEAN))) is None:
            raise StudyError(f"{who} on {task} was run in noise but not on clean speech; there is nothing to compare")
        # Only the voices that are heard in noise: the other voices would shift the baseline (Table 2 of the paper has
        # six voices, its Figure 3 has two).
        baseline = clean.filter(pl.col("voice").is_in(list(voices)))
        rows.append(_accuracy_row(Node(who, task, CLEAN), baseline, labels[task], outline, statistics))
        for node in noisy:
            row = _accuracy_row(node, mine[node], labels[task], outline, statistics)
            difference = change(mine[node], baseline, confidence=statistics.confidence)
            rows.append(row | spread("change", vars(difference)))
    return _frame(rows, NOISE)


def _transcription(transcripts: Mapping[Node, pl.DataFrame], outline: Outline) -> pl.DataFrame:
    rows = []
    for node, table in transcripts.items():
        by_voice = table.group_by("voice")
        for voice, clips, words, errors in by_voice.agg(
            pl.len(), pl.sum("reference_words"), total=pl.sum("word_errors")
        ).iter_rows():
            rows.append(
                {
                    "asr": node.who,
                    "kind": outline.asr_kind(node.who),
                    **place(node),
                    "voice": voice,
                    "clips": clips,
                    "reference_words": words,
                    "word_errors": errors,
                    "word_error_rate": errors / words if words else None,
                }
            )
    return _frame(rows, TRANSCRIPTION)
