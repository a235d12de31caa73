"""The study's tidy tables from the nodes' files."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.mechanism_names import MechanismFiles
from cascade_equivalence.report.naming import Outline, nodes
from cascade_equivalence.report.results import Results
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.stats.numbers import LONG, OF, read_comparison

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
    item_files: Iterable[Path] = (),
    surplus_files: Iterable[Path] = (),
    retest_files: Iterable[Path] = (),
    silence_files: Iterable[Path] = (),
) -> Tables:
    """Build a study's tables.

    Args:
        answer_files: Answers of a system, task and condition each.
        agreement_files: Numbers that ``compare`` gives of each pair, and ``match``.
        contrast_files: Numbers that ``contrast`` gives of each, and ``match_first`` and ``match_second``.
        transcript_files: Transcripts of an origin, task and condition each.
        labels: Closed label set of each task; empty for open answers.
        outline: Names and order.
        statistics: Draws, level and seed of the intervals that are made here; false discovery rate of the tests.
        mechanism: Files about the inside of opened models.
        speech_files: Clips of a task, voice and condition each, for the costs of a second of speech.
        item_files: Items of each task, for examples of shared errors and for wider groups.
        surplus_files: What the audio tells beyond the transcripts.
        retest_files: How far systems that are asked again agree with themselves.
        silence_files: What systems answer over silence, a file a task.

    Returns:
        The tables, sorted for a reader.

    Raises:
        StudyError: A file is about something outside the study, or the files of one study do not fit together.
    """
    answer_nodes, transcript_nodes = nodes(answer_files, "system"), nodes(transcript_files, "asr")
    agreement, contrasts = (_comparisons(files) for files in (agreement_files, contrast_files))
    outline.check([*answer_nodes, *transcript_nodes])
    results = Results(
        answers={node: pl.read_parquet(path) for node, path in answer_nodes.items()},
        transcripts={node: pl.read_parquet(path) for node, path in transcript_nodes.items()},
        agreement=agreement,
        contrasts=contrasts,
        labels=labels,
        outline=outline,
        statistics=statistics,
        items={task: pl.read_parquet(path) for (task,), path in files_about(item_files, ["task"]).items()},
        speech=speech_files,
        surplus=surplus_files,
        retests=retest_files,
        silence=silence_files,
        mechanism=mechanism,
    )
    return Tables(**{name: results[name] for name in TABLES})


def _comparisons(files: Iterable[Path]) -> pl.DataFrame:
    """The numbers of all files.

    Raises:
        StudyError: Two files are about the same.
    """
    tables = [read_comparison(path) for path in files]
    numbers = pl.concat([pl.DataFrame(schema=LONG), *tables])
    if (twice := numbers.filter(numbers.select(*OF, "statistic").is_duplicated())).height:
        of = " ".join(name for name in twice.row(0)[: len(OF)] if name)
        raise StudyError(f"two files hold the comparison {of}; remove the one that is not the study's")
    return numbers
