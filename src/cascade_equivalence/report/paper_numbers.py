"""The paper's own numbers (resources/paper/numbers.csv): their columns, vocabulary and reading."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from pydantic import Field, model_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import Schema
from cascade_equivalence.resources import PAPER_STATISTICS

NUMBERS: Schema = {
    "place": pl.String,
    "statistic": pl.String,
    "aggregate": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "second_reference": pl.String,
    "model": pl.String,
    "task": pl.String,
    "condition": pl.String,
    "layer": pl.Int64,
    "layer_to": pl.Int64,
    "concept": pl.String,
    "relation": pl.String,
    "printed": pl.String,
    "unit": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "interval_note": pl.String,
    "note": pl.String,
}
"""One row a number of the paper. Several systems, tasks or models stand in one cell with ``;`` between them; then
``aggregate`` says what of their numbers is given, as it does of the layers from ``layer`` to ``layer_to``."""

SEPARATOR = ";"
LOWEST, HIGHEST, MEAN = "lowest", "highest", "mean"
AGGREGATES = (LOWEST, HIGHEST, MEAN)
EQUALS, ABOUT, BELOW, ABOVE = "=", "~", "<", ">"
RELATIONS = (EQUALS, ABOUT, BELOW, ABOVE)
IMPLICIT = "Implicit cascade"
"""The paper's name of a speech LLM's own LLM reading its last layer; it is none of its Table 1's systems."""

LENS, LENS_ALL = "lens_precision", "lens_precision_all"
"""The paper's lens reads the positions of the audio in one of its models, all of the prompt's in the other."""
SCALES = {"percent": 100.0, "points": 100.0}
"""What a share is multiplied by; other units are as they are."""

SIGNS = "%BM\N{MULTIPLICATION SIGN}"
"""What may stand behind a number as the paper prints it."""

LAST_LAYER, LAYER_STEP = 31, 4
"""Layers of the paper's models: 0, 4, ..., 28 and 31 of 32 blocks (section 3.4)."""


def read_numbers(path: Path) -> pl.DataFrame:
    """Read the paper's numbers.

    Args:
        path: ``resources/paper/numbers.csv``.

    Returns:
        Table with the columns ``NUMBERS``, in the order of the file: tables and figures before the running text.

    Raises:
        StudyError: The file is not there, or has other columns.
    """
    try:
        with path.open(encoding="utf-8") as file:
            columns = file.readline().strip().split(",")
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error}); it is part of the project, so restore it") from error
    if columns != list(NUMBERS):
        raise StudyError(f"{path} has other columns than this version of the project expects; restore it")
    return pl.read_csv(path, schema=NUMBERS)


def parts(cell: str | None) -> list[str]:
    """The names in a cell that may hold several; none of an empty one."""
    return cell.split(SEPARATOR) if cell else []


def decimals(printed: str) -> int:
    """How many decimals the paper gives of a number."""
    return len(printed.rstrip(SIGNS).partition(".")[2])


class KeyedTable(Closed):
    """A table that the paper's numbers are looked up in: its key, and what is said where it has no such row.

    ``lacks`` is said of a column of the key instead, where no row at all has its value.
    """

    key: tuple[str, ...]
    lacks: dict[str, str] = Field(default={})
    absent: str | None = None


class Term(Closed):
    """A number in a row of such a table; see the head of ``statistics.yaml``."""

    table: str
    where: dict[str, str | int] = Field(default={})
    value: str
    reason: str | None = None
    otherwise: str | None = None
    needed: str | None = None


class Way(Closed):
    """A way to find a number: one term, or several and a formula."""

    when: dict[str, str] = Field(default={})
    formula: str = "first"
    of: list[Term]

    @model_validator(mode="before")
    @classmethod
    def _single(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        if "of" in data:
            return data
        term = {name: value for name, value in data.items() if name != "when"}
        return {"when": data.get("when", {}), "of": [term]}


class PaperStatistic(Closed):
    """What some of the paper's numbers are, and how a study's are found."""

    title: str = ""
    units: frozenset[str]
    signed: bool = False
    design: bool = False
    found: list[Way] = Field(default=[])

    @property
    def layered(self) -> str | None:
        """The table whose layers are those of such a number; None if it is none of a single layer."""
        terms = (term for way in self.found for term in way.of if "layer" not in term.where)
        return next((term.table for term in terms if "layer" in KEYED[term.table].key), None)


_FACTS = yaml.safe_load(PAPER_STATISTICS.read_text(encoding="utf-8"))
KEYED = {name: KeyedTable(**facts) for name, facts in _FACTS["tables"].items()}
"""By name, the tables that the paper's numbers are looked up in."""
STATISTICS = {name: PaperStatistic(**facts) for name, facts in _FACTS["statistics"].items()}
"""What the paper's numbers are, by the name that ``numbers.csv`` gives."""
