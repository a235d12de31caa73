"""The whole of ``agree``: from files to the comparison of two systems on every task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.comparison import TaskAgreement, compare_task, give_verdicts
from cascade_equivalence.imported.format import FileOptions
from cascade_equivalence.imported.joining import join_sets
from cascade_equivalence.imported.judged import By, judge_answers
from cascade_equivalence.imported.plain import FIELDS
from cascade_equivalence.imported.read import read_answers


@dataclass(frozen=True)
class Wanted:
    """What the user chooses.

    Attributes:
        tasks: The tasks to compare; empty takes all. Of the project's own the parser reads the answers.
        formats: The format of the files; empty finds it.
        columns: Names of columns where they are not the plain ones.
        score: Which of several scores counts.
        by: What is compared: ``answers``, ``scores``, or ``auto``.
        labels: The closed set of labels; empty infers it.
        names: What the systems are called; empty takes what the files say.
        ignore_texts: Whether an item may have another text in another file.
        strict: Whether it is an error that something does not join.
    """

    tasks: Sequence[str] = ()
    formats: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    score: str = ""
    by: By = "auto"
    labels: Sequence[str] = ()
    names: Sequence[str] = ()
    ignore_texts: bool = False
    strict: bool = False


@dataclass(frozen=True)
class AgreementFound:
    """What is found of two systems.

    Attributes:
        names: What the systems are called: A, B and, where there is one, C.
        formats: What each was read as.
        tasks: The comparison on each task.
        remarks: What concerns no single task, a line each.
        statistics: Level of the intervals and bounds of equivalence.
    """

    names: tuple[str, ...]
    formats: tuple[str, ...]
    tasks: tuple[TaskAgreement, ...]
    remarks: tuple[str, ...]
    statistics: StatisticsConfig


def agree(paths: Sequence[Path], wanted: Wanted, statistics: StatisticsConfig) -> AgreementFound:
    """Compare the answers of two systems; those of a third give the ceiling.

    Args:
        paths: Files or folders of A, B and perhaps C: A's own answers when it was asked otherwise.
        wanted: What the user chooses.
        statistics: Level of the intervals and bounds of equivalence.

    Raises:
        StudyError: A file cannot be read, nothing joins, or right cannot be told from wrong.
    """
    _check_columns(wanted.columns)
    asked = FileOptions(wanted.columns, wanted.score)
    sets = [read_answers(path, asked, wanted.formats) for path in paths]
    for field_name, column in wanted.columns.items():
        if all(field_name in each.lacking for each in sets):
            raise StudyError(f"--map {field_name}={column}: no file has a column {column!r}")
    names = _names([each.name for each in sets], paths, wanted.names)
    said: dict[str, list[str]] = {}
    for name, each in zip(names, sets, strict=True):
        for remark in each.remarks:
            said.setdefault(remark, []).append(name)
    remarks = [f"{' and '.join(whose)}: {remark}" for remark, whose in said.items()]
    joined, apart = join_sets(sets, names, wanted.tasks, ignore_texts=wanted.ignore_texts)
    if wanted.strict and (lines := [*apart, *(line for part in joined for line in part.apart)]):
        raise StudyError(f"--strict: not everything joins: {'; '.join(lines)}")
    tasks = []
    for part in joined:
        own = TASKS[part.task] if part.task in wanted.tasks and part.task in TASKS else None
        judged = judge_answers(part, names, task=own, by=wanted.by, labels=wanted.labels)
        tasks.append(compare_task(part, judged, statistics))
    give_verdicts(tasks, statistics)
    return AgreementFound(
        tuple(names), tuple(each.format for each in sets), tuple(tasks), (*remarks, *apart), statistics
    )


def _check_columns(columns: Mapping[str, str]) -> None:
    if strange := [name for name in columns if name not in FIELDS]:
        raise StudyError(f"--map {strange[0]}=...: there is no such field; fields are {', '.join(FIELDS)}")


def _names(found: Sequence[str], paths: Sequence[Path], chosen: Sequence[str]) -> list[str]:
    """What the systems are called: as the user says, as the files say, or as the files are called."""
    if chosen:
        if len(chosen) != len(paths) or len(set(chosen)) < len(chosen) or not all(chosen):
            raise StudyError(f"--names: give {len(paths)} different names, with commas between them")
        return list(chosen)
    for names in (found, [path.stem for path in paths], list(map(str, paths))):
        if all(names) and len(set(names)) == len(names):
            return list(names)
    return [f"{letter} ({path})" for letter, path in zip("ABC", paths, strict=False)]
