"""The study's tidy tables, built from the nodes' files: one row an observation, full precision."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.atomic import write_text
from cascade_equivalence.conditions import CLEAN, parse_condition
from cascade_equivalence.config.study import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.naming import Node, Outline, nodes
from cascade_equivalence.stats.accuracy import change, summarise
from cascade_equivalence.stats.mcnemar import adjust

Schema = dict[str, type[pl.DataType]]


def _estimate(name: str) -> Schema:
    return {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64}


ACCURACY: Schema = {
    "system": pl.String,
    "task": pl.String,
    "condition": pl.String,
    "snr_db": pl.Float64,
    "voices": pl.Int64,
    "rows": pl.Int64,
    "groups": pl.Int64,
    "correct": pl.Int64,
    "parsed": pl.Int64,
    **_estimate("accuracy"),
    **_estimate("parse_rate"),
    **_estimate("accuracy_among_parsed"),
    "chance": pl.Float64,
    "majority": pl.Float64,
    "against_chance": pl.String,
}
NOISE: Schema = ACCURACY | _estimate("change")
AGREEMENT: Schema = {
    "pair": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "task": pl.String,
    "condition": pl.String,
    "snr_db": pl.Float64,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **_estimate("kappa"),
    "kappa_undefined_draws": pl.Int64,
    "kappa_reason": pl.String,
    **_estimate("observed_agreement"),
    **_estimate("accuracy_difference"),
    "only_system_right": pl.Int64,
    "only_reference_right": pl.Int64,
    "mcnemar_p": pl.Float64,
    "mcnemar_method": pl.String,
    "mcnemar_p_adjusted": pl.Float64,
    "accuracies_differ": pl.Boolean,
    "both_wrong": pl.Int64,
    "same_wrong": pl.Int64,
    **_estimate("overlap"),
    "overlap_reason": pl.String,
    "overlap_informative": pl.Boolean,
    "overlap_chance": pl.Float64,
    "overlap_chance_empirical": pl.Float64,
    "system_against_chance": pl.String,
    "reference_against_chance": pl.String,
}
TRANSCRIPTION: Schema = {
    "asr": pl.String,
    "task": pl.String,
    "condition": pl.String,
    "snr_db": pl.Float64,
    "voice": pl.String,
    "clips": pl.Int64,
    "reference_words": pl.Int64,
    "word_errors": pl.Int64,
    "word_error_rate": pl.Float64,
}


@dataclass(frozen=True)
class Tables:
    """The tidy tables of a study, with the columns of the schemas above.

    Attributes:
        accuracy: System x task on clean speech, all voices pooled (paper's Table 2).
        agreement: Pair x task x condition (paper's Figure 1 and section 4).
        noise: System x task x condition on the voices that are heard in noise, clean included (paper's Figure 3).
        transcription: ASR x task x condition x voice.
    """

    accuracy: pl.DataFrame
    agreement: pl.DataFrame
    noise: pl.DataFrame
    transcription: pl.DataFrame

    def write(self, folder: Path) -> None:
        """Write each table as ``{name}.csv``."""
        for name, table in vars(self).items():
            buffer = io.StringIO()
            table.write_csv(buffer)
            write_text(folder / f"{name}.csv", buffer.getvalue())

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        """Read what ``write`` wrote."""
        schemas = {"accuracy": ACCURACY, "agreement": AGREEMENT, "noise": NOISE, "transcription": TRANSCRIPTION}
        return cls(**{name: pl.read_csv(folder / f"{name}.csv", schema=schema) for name, schema in schemas.items()})


def build_tables(
    answer_files: Iterable[Path],
    agreement_files: Iterable[Path],
    transcript_files: Iterable[Path],
    *,
    labels: Mapping[str, Sequence[str]],
    outline: Outline,
    statistics: StatisticsConfig,
) -> Tables:
    """Build a study's tables.

    Args:
        answer_files: ``.../{system}/{task}/{condition}.parquet``.
        agreement_files: ``.../{system}~{reference}/{task}/{condition}.json``, what ``compare`` gives.
        transcript_files: ``.../{asr}/{task}/{condition}.parquet``.
        labels: Closed label set of each task; empty for open answers.
        outline: Names and order.
        statistics: Draws, level and seed of the accuracies' intervals; false discovery rate of the tests.

    Returns:
        The tables, sorted for a reader.

    Raises:
        StudyError: A file is about something outside the study, or the files of one study do not fit together.
    """
    answer_nodes, agreement_nodes, transcript_nodes = map(nodes, (answer_files, agreement_files, transcript_files))
    outline.check([*answer_nodes, *agreement_nodes, *transcript_nodes])
    answers = {node: pl.read_parquet(path) for node, path in answer_nodes.items()}
    return Tables(
        accuracy=outline.sort(
            _frame(
                [
                    _accuracy_row(node, table, labels[node.task], statistics)
                    for node, table in answers.items()
                    if node.condition == CLEAN
                ],
                ACCURACY,
            )
        ),
        agreement=outline.sort(_agreement(agreement_nodes, outline, statistics.fdr)),
        noise=outline.sort(_noise(answers, labels, statistics)),
        transcription=outline.sort(_transcription(transcript_nodes)),
    )


def _frame(rows: list[dict[str, Any]], schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def _spread(name: str, estimate: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}


def _sampling(statistics: StatisticsConfig) -> dict[str, Any]:
    return {"draws": statistics.draws, "confidence": statistics.confidence, "seed": statistics.seed}


def _accuracy_row(
    node: Node, answers: pl.DataFrame, labels: Sequence[str], statistics: StatisticsConfig
) -> dict[str, Any]:
    whose = f"the answers of {node.who} to {node.task} ({node.condition})"
    found = summarise(answers, labels, whose=whose, **_sampling(statistics))
    return {
        "system": node.who,
        "task": node.task,
        "condition": node.condition,
        "snr_db": parse_condition(node.condition),
        **{name: found[name] for name in ("voices", "rows", "groups", "correct", "parsed", "against_chance")},
        **_spread("accuracy", found["accuracy"]),
        **_spread("parse_rate", found["parse_rate"]),
        **_spread("accuracy_among_parsed", found["accuracy_among_parsed"]),
        "chance": found["levels"]["chance"],
        "majority": found["levels"]["majority"],
    }


def _noise(
    answers: Mapping[Node, pl.DataFrame], labels: Mapping[str, Sequence[str]], statistics: StatisticsConfig
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
        rows.append(_accuracy_row(Node(who, task, CLEAN), baseline, labels[task], statistics))
        for node in noisy:
            row = _accuracy_row(node, mine[node], labels[task], statistics)
            difference = change(mine[node], baseline, **_sampling(statistics))
            rows.append(row | _spread("change", vars(difference)))
    return _frame(rows, NOISE)


def _agreement(files: Mapping[Node, Path], outline: Outline, fdr: float) -> pl.DataFrame:
    rows = []
    for node, path in files.items():
        found = json.loads(path.read_text())
        test, overlap = found["mcnemar"], found["overlap"]
        system, reference = node.pair
        rows.append(
            {
                "pair": outline.pair_label(system, reference),
                "system": system,
                "reference": reference,
                "task": node.task,
                "condition": node.condition,
                "snr_db": parse_condition(node.condition),
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


def _transcription(files: Mapping[Node, Path]) -> pl.DataFrame:
    rows = []
    for node, path in files.items():
        by_voice = pl.read_parquet(path, columns=["voice", "reference_words", "word_errors"]).group_by("voice")
        for voice, clips, words, errors in by_voice.agg(
            pl.len(), pl.sum("reference_words"), total=pl.sum("word_errors")
        ).iter_rows():
            rows.append(
                {
                    "asr": node.who,
                    "task": node.task,
                    "condition": node.condition,
                    "snr_db": parse_condition(node.condition),
                    "voice": voice,
                    "clips": clips,
                    "reference_words": words,
                    "word_errors": errors,
                    "word_error_rate": errors / words if words else None,
                }
            )
    return _frame(rows, TRANSCRIPTION)
