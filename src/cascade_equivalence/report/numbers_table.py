"""All numbers of a study in one long table: what each is of, the table and column it stands in, its interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import Display
from cascade_equivalence.report.table import TABLES, Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

OTHERWISE = {"first": "reference", "second": "second_reference", "statistic": "of"}
"""Columns of other tables that are called so here."""
LEVELS = ("snr_db", "rt60_ms")
"""What a condition is called by says them."""
OF: Schema = {
    **dict.fromkeys(("system", "reference", "second_reference", "implicit", "explicit", "asr", "model"), pl.String),
    **dict.fromkeys(("other_model", "task", "condition", "voice", "grouping", "of", "probe", "arm"), pl.String),
    **dict.fromkeys(("positions", "concept", "variant", "control", "measure"), pl.String),
    "untrained": pl.Boolean,
    "layer": pl.Int64,
}
SCHEMA: Schema = {**OF, "statistic": pl.String, **estimate_schema("value"), "reason": pl.String}
"""``statistic``: table and column, such as ``agreement.kappa``. What a table does not tell apart is null. Nothing here
was timed: what is another in every run is in ``times``."""


def long(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """A tidy table as rows of ``SCHEMA``, one column after the other."""
    measured = table.measured.columns if table.measured else ()
    known = rows.rename(OTHERWISE, strict=False)
    ends = {f"{name}{end}" for name in known.columns for end in ("_low", "_high")}
    parts = []
    for name, kind in known.schema.items():
        if not kind.is_numeric() or name in (*OF, *LEVELS, *ends, *measured):
            continue
        has = [end for end in ("", "_low", "_high") if f"{name}{end}" in known.columns]
        # A table says of one number why it is missing; where another is there with its interval nothing is.
        missing = pl.any_horizontal(pl.col(f"{name}{end}").is_null() for end in has)
        parts.append(
            known.select(
                *(of for of in OF if of in known.columns),
                pl.lit(f"{table.name}.{name}").alias("statistic"),
                *(pl.col(f"{name}{end}").cast(pl.Float64).alias(f"value{end}") for end in has),
                *(pl.when(missing).then(pl.col(why)).alias("reason") for why in _reason(name, known.columns)),
            )
        )
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts], how="diagonal")


def _reason(name: str, columns: Sequence[str]) -> list[str]:
    """The column that says why a number is missing, if there is one."""
    return [why for why in (f"{name}_reason", "reason") if why in columns][:1]


def _build(results: "Results") -> pl.DataFrame:
    others = (table for table in TABLES.values() if table.name != TABLE.name)
    return pl.concat([pl.DataFrame(schema=SCHEMA), *(long(table, results[table.name]) for table in others)])


def _display(*_: object) -> Display:
    """It has too many rows to be read: it is for those who go on with the numbers."""
    return Display("numbers", "All numbers", ["Number"], [], ["All numbers of all tables are rows of numbers.csv."])


TABLE = Table(name="numbers", schema=SCHEMA, build=_build, display=_display)
