"""The study's tidy tables from the nodes' files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN, parse_condition
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import Schema
from cascade_equivalence.report.eraser_frame import erasers_table
from cascade_equivalence.report.erasure_frame import erasure_tables
from cascade_equivalence.report.mechanism_frames import lens_table, probes_table
from cascade_equivalence.report.mechanism_names import MechanismFiles
from cascade_equivalence.report.naming import Node, Outline, nodes
from cascade_equivalence.report.sufficiency_frame import sufficiency_table
from cascade_equivalence.report.tables import ACCURACY, AGREEMENT, CONTRASTS, NOISE, TRANSCRIPTION, Tables
from cascade_equivalence.stats.accuracy import change, summarise
from cascade_equivalence.stats.mcnemar import adjust

CONTRAST_ARMS = ("system", "first", "second")
NOTHING_OPENED = MechanismFiles()


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
    clean = [
        _accuracy_row(node, table, labels[node.task], outline, statistics)
        for node, table in answers.items()
        if node.condition == CLEAN
    ]
    accuracy = outline.sort(_frame(clean, ACCURACY))
    agreement = outline.sort(_agreement(agreement_nodes, outline, statistics.fdr))
    contrasts = outline.sort(_contrasts(contrast_nodes, outline))
    erasure, erasure_controls = erasure_tables(mechanism.erasure, labels, statistics)
    return Tables(
        accuracy=accuracy,
        agreement=agreement,
        contrasts=contrasts,
        noise=outline.sort(_noise(answers, labels, outline, statistics)),
        transcription=outline.sort(_transcription(transcript_nodes, outline)),
        probes=probes_table(mechanism.probes),
        lens=lens_table(mechanism.lens, statistics),
        sufficiency=sufficiency_table(accuracy, agreement, contrasts, outline),
        erasers=erasers_table(mechanism.erasers),
        erasure=erasure,
        erasure_controls=erasure_controls,
    )


def _frame(rows: list[dict[str, Any]], schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def _place(node: Node) -> dict[str, Any]:
    return {"task": node.task, "condition": node.condition, "snr_db": parse_condition(node.condition)}


def _spread(name: str, estimate: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}


def _sampling(statistics: StatisticsConfig) -> dict[str, Any]:
    return {"draws": statistics.draws, "confidence": statistics.confidence, "seed": statistics.seed}


def _accuracy_row(
    node: Node, answers: pl.DataFrame, labels: Sequence[str], outline: Outline, statistics: StatisticsConfig
) -> dict[str, Any]:
    whose = f"the answers of {node.who} to {node.task} ({node.condition})"
    found = summarise(answers, labels, whose=whose, **_sampling(statistics))
    return {
        "system": node.who,
        **outline.parts(node.who),
        **_place(node),
        **{name: found[name] for name in ("voices", "rows", "groups", "correct", "parsed", "against_chance")},
        **_spread("accuracy", found["accuracy"]),
        **_spread("parse_rate", found["parse_rate"]),
        **_spread("accuracy_among_parsed", found["accuracy_among_parsed"]),
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
            difference = change(mine[node], baseline, **_sampling(statistics))
            rows.append(row | _spread("change", vars(difference)))
    return _frame(rows, NOISE)


def _agreement(files: Mapping[Node, Path], outline: Outline, fdr: float) -> pl.DataFrame:
    rows = []
    for node, path in files.items():
        found = json.loads(path.read_text())
        test, overlap = found["mcnemar"], found["overlap"]
        system, reference = node.names
        rows.append(
            {
                "pair": outline.pair_label(system, reference),
                "system": system,
                "reference": reference,
                "system_kind": outline.parts(system)["kind"],
                "reference_kind": outline.parts(reference)["kind"],
                "match": found["match"],
                **_place(node),
                "rows": found["rows"],
                "groups": found["groups"],
                **_spread("kappa", found["kappa"]),
                "kappa_undefined_draws": found["kappa"]["undefined_draws"],
                "kappa_reason": found["kappa"]["reason"],
                **_spread("observed_agreement", found["observed_agreement"]),
                **_spread("accuracy_difference", found["accuracy_difference"]),
                "only_system_right": test["b"],
                "only_reference_right": test["c"],
                "mcnemar_p": test["p"],
                "mcnemar_method": test["method"],
                "both_wrong": overlap["both_wrong"],
                "same_wrong": overlap["same_wrong"],
                **_spread("overlap", overlap),
                "overlap_reason": overlap["reason"],
                "overlap_informative": overlap["informative"],
                "overlap_chance": overlap["chance"]["uniform"]["value"],
                "overlap_chance_empirical": overlap["chance"]["empirical"]["value"],
                "system_against_chance": found["system"]["against_chance"],
                "reference_against_chance": found["reference"]["against_chance"],
            }
        )
    # One family of tests a condition: all its pairs and tasks (paper section 3.3).
    for condition in {row["condition"] for row in rows}:
        family = [row for row in rows if row["condition"] == condition]
        for row, p in zip(family, adjust([row["mcnemar_p"] for row in family]), strict=True):
            row |= {"mcnemar_p_adjusted": p, "accuracies_differ": None if p is None else p <= fdr}
    return _frame(rows, AGREEMENT)


def _contrasts(files: Mapping[Node, Path], outline: Outline) -> pl.DataFrame:
    rows = []
    for node, path in files.items():
        found = json.loads(path.read_text())
        system, first, second = node.names
        row = {
            "contrast": outline.contrast_label(system, first, second),
            "system": system,
            "first": first,
            "second": second,
            "match_first": found["match_first"],
            "match_second": found["match_second"],
            **_place(node),
            "rows": found["rows"],
            "groups": found["groups"],
            **_spread("kappa_first", found["first"]["kappa"]),
            **_spread("kappa_second", found["second"]["kappa"]),
            **_spread("kappa_difference", found["kappa_difference"]),
            "undefined_draws": found["kappa_difference"]["undefined_draws"],
            "reason": found["kappa_difference"]["reason"],
            **_spread("observed_difference", found["observed_difference"]),
        }
        rows.append(row | {f"{arm}_against_chance": found[arm]["against_chance"] for arm in CONTRAST_ARMS})
    return _frame(rows, CONTRASTS)


def _transcription(files: Mapping[Node, Path], outline: Outline) -> pl.DataFrame:
    rows = []
    for node, path in files.items():
        by_voice = pl.read_parquet(path, columns=["voice", "reference_words", "word_errors"]).group_by("voice")
        for voice, clips, words, errors in by_voice.agg(
            pl.len(), pl.sum("reference_words"), total=pl.sum("word_errors")
        ).iter_rows():
            rows.append(
                {
                    "asr": node.who,
                    "kind": outline.asr_kind(node.who),
                    **_place(node),
                    "voice": voice,
                    "clips": clips,
                    "reference_words": words,
                    "word_errors": errors,
                    "word_error_rate": errors / words if words else None,
                }
            )
    return _frame(rows, TRANSCRIPTION)
