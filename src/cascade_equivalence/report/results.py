"""What the nodes of a study found, and the tables that are made of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import SIZE, place_values
from cascade_equivalence.report.mechanism_names import MechanismFiles
from cascade_equivalence.report.naming import NodeFile, Outline
from cascade_equivalence.report.table import TABLES, Table
from cascade_equivalence.stats.numbers import LONG, Number, by_comparison


@dataclass(kw_only=True)
class Results:
    """What the nodes of a study found; ``results[name]`` is a table of it, made when it is first asked for.

    Attributes:
        outline: Names and order.
        statistics: Draws, level and seed of the intervals that are made here; false discovery rate of the tests.
        answers: Answers by system, task and condition.
        transcripts: Transcripts by origin, task and condition.
        agreement: Numbers of each pair: what ``compare`` gave, and ``match``.
        contrasts: Numbers of each contrast: what ``contrast`` gave, and ``match_first`` and ``match_second``.
        labels: Closed label set of each task; empty for open answers.
        items: Items of each task.
        speech: Clips, for the costs of a second of speech.
        surplus: Of each task, what the audio tells beyond the transcripts.
        retests: How far systems that are asked again agree with themselves.
        silence: What systems answer over silence, a file a task.
        mechanism: Files about the inside of opened models.
    """

    outline: Outline
    statistics: StatisticsConfig
    answers: Mapping[NodeFile, pl.DataFrame] = field(default_factory=dict)
    transcripts: Mapping[NodeFile, pl.DataFrame] = field(default_factory=dict)
    agreement: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LONG))
    contrasts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LONG))
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    items: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    speech: Iterable[Path] = ()
    surplus: Iterable[Path] = ()
    retests: Iterable[Path] = ()
    silence: Iterable[Path] = ()
    mechanism: MechanismFiles = field(default_factory=MechanismFiles)
    _made: dict[str, pl.DataFrame | None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pl.DataFrame:
        table = TABLES.find(name)
        if name not in self._made:
            self._made[name] = None
            self._made[name] = table.made(self)
        found = self._made[name]
        if found is None:
            raise StudyError(f"the table {name!r} is made from one that is made from it")
        return found

    @cached_property
    def pairs(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of each table of pairs.

        Raises:
            StudyError: A comparison lacks what a table is read from.
        """
        tables = {table.name: table.columns for table in TABLES.values() if table.columns is not None}
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in tables}
        for (system, reference, _, task, condition), found in by_comparison(self.agreement):
            pair = _pair(system, reference, task, condition, found, self.outline)
            for name, columns in tables.items():
                try:
                    rows[name].append(pair | {column: cell.read(found) for column, cell in columns.items()})
                except KeyError as error:
                    raise StudyError(
                        f"the agreement of {system} with {reference} on {task} ({condition}) has no {error}, which the "
                        f"table {name!r} is read from: run snakemake again to renew it"
                    ) from error
        return rows

    def in_order(self, table: Table) -> pl.DataFrame:
        """A table of pairs, sorted for a reader."""
        return self.outline.sort(pl.DataFrame(self.pairs[table.name], schema=table.schema, orient="row"))

    @cached_property
    def erasure(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Answers under erasure, and the same beside their controls."""
        from cascade_equivalence.report.erasure_frame import erasure_tables

        return erasure_tables(self.mechanism.erasure, self.labels, self.statistics)


def _pair(
    system: str, reference: str, task: str, condition: str, found: Mapping[str, Number], outline: Outline
) -> dict[str, Any]:
    return {
        "pair": outline.pair_label(system, reference),
        "system": system,
        "reference": reference,
        "system_kind": outline.parts(system)["kind"],
        "reference_kind": outline.parts(reference)["kind"],
        "match": found["match"].text,
        **place_values(task, condition),
        **{name: cell.read(found) for name, cell in SIZE.items()},
    }
