"""The study's tidy tables from the nodes' files."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.mechanism_names import MechanismFiles
from cascade_equivalence.report.naming import Outline, nodes
from cascade_equivalence.report.results import Results
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables

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
    speech_files: Iterable[Path] = (),
    item_files: Mapping[str, Path] = MappingProxyType({}),
    surplus_files: Mapping[str, Path] = MappingProxyType({}),
    retest_files: Iterable[Path] = (),
    silence_files: Iterable[Path] = (),
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
        silence_files: What systems answer over silence, a file a task.

    Returns:
        The tables, sorted for a reader.

    Raises:
        StudyError: A file is about something outside the study, or the files of one study do not fit together.
    """
    answer_nodes, agreement_nodes, contrast_nodes, transcript_nodes = map(
        nodes, (answer_files, agreement_files, contrast_files, transcript_files)
    )
    outline.check([*answer_nodes, *agreement_nodes, *contrast_nodes, *transcript_nodes])
    results = Results(
        answers={node: pl.read_parquet(path) for node, path in answer_nodes.items()},
        transcripts={node: pl.read_parquet(path) for node, path in transcript_nodes.items()},
        agreement=agreement_nodes,
        contrasts=contrast_nodes,
        labels=labels,
        outline=outline,
        statistics=statistics,
        items={task: pl.read_parquet(path) for task, path in item_files.items()},
        speech=speech_files,
        surplus=surplus_files,
        retests=retest_files,
        silence=silence_files,
        mechanism=mechanism,
    )
    return Tables(**{name: results[name] for name in TABLES})
