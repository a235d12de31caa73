"""The study's tidy tables as files: one row an observation, full precision."""

import io
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.report import (
    costs_table,
    groupings_table,
    ranking_table,
    retest_table,
    shared_errors,
    surplus_table,
)
from cascade_equivalence.report.columns import PLACE, Schema, estimate
from cascade_equivalence.report.mechanism_schemas import MECHANISM_SCHEMAS
from cascade_equivalence.report.pair_frames import CONTRASTS, PAIR, pair_schemas

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
    **estimate("accuracy"),
    **estimate("parse_rate"),
    **estimate("accuracy_among_parsed"),
    "reason": pl.String,
    "chance": pl.Float64,
    "majority": pl.Float64,
    "own_chance": pl.Float64,
    "against_chance": pl.String,
}
NOISE: Schema = ACCURACY | estimate("change")
TRANSCRIPTION: Schema = {
    "asr": pl.String,
    "kind": pl.String,
    **PLACE,
    "voice": pl.String,
    "clips": pl.Int64,
    "reference_words": pl.Int64,
    "word_errors": pl.Int64,
    "word_error_rate": pl.Float64,
}


SCHEMAS = {
    "accuracy": ACCURACY,
    **pair_schemas(),
    "groupings": groupings_table.SCHEMA,
    "retest": retest_table.SCHEMA,
    "contrasts": CONTRASTS,
    "noise": NOISE,
    "ranking": PAIR | ranking_table.SCHEMA,
    "transcription": TRANSCRIPTION,
    "shared_errors": shared_errors.SCHEMA,
    "costs": costs_table.SCHEMA,
    "surplus": surplus_table.SCHEMA,
    **MECHANISM_SCHEMAS,
}
FILES = SCHEMAS | {"costs": costs_table.COUNTED, "times": costs_table.TIMED}
"""Columns of the files: what a clock measured lies apart, so that all others are the same in every run of a study."""
OPTIONAL = frozenset({"groupings", "retest", "contrasts", "ranking", "surplus", *MECHANISM_SCHEMAS})
"""Tables that a study need not have: empty ones have no file, unless it is asked for."""


@dataclass(frozen=True)
class Tables:
    """The tidy tables of a study, with the columns of the schemas above.

    Attributes:
        accuracy: System x task on clean speech, all voices pooled (paper's Table 2).
        agreement: Pair x task x condition (paper's Figure 1 and section 4).
        indices: Pair x task x condition: kappa's bound, other indices of agreement, intervals by rows.
        tests: Pair x task x condition: is one system right more often?
        equivalence: Pair x task x condition: are the two equivalent within the margin?
        power: Pair x task x condition: what can be shown with these items.
        errors: Pair x task x condition: what the two systems' errors have in common (paper's Figure 2).
        groupings: System or pair x task x grouping, for tasks whose items name wider groups.
        retest: System x task x variant: how far a system that is asked again agrees with itself.
        contrasts: System and two references x task x condition.
        noise: System x task x condition on the voices that are heard in noise, clean included (paper's Figure 3).
        ranking: Pair x task x condition that is run in noise: which system is better, and where that turns.
        transcription: Origin of transcripts x task x condition x voice.
        shared_errors: Examples of the same wrong answer (paper's Table 3).
        costs: System x task x condition: seconds and tokens an item.
        surplus: Task: what its audio tells of the label beyond its transcripts (paper's section 2.1).
        probes: Opened model x layer x probe (paper's Figure 4 and Table 4).
        lens: Opened speech LLM x layer (paper's Figure 5 and Table 5).
        sufficiency: Speech LLM and two cascades with its LLM x task (paper's Table 6).
        erasers: Opened speech LLM x concept x layer.
        erasure: Opened speech LLM x task x condition of the erasure (paper's Figure 6 and Table 7).
        erasure_controls: Condition of the erasure x control x measure.
    """

    accuracy: pl.DataFrame
    agreement: pl.DataFrame
    indices: pl.DataFrame
    tests: pl.DataFrame
    equivalence: pl.DataFrame
    power: pl.DataFrame
    errors: pl.DataFrame
    groupings: pl.DataFrame
    retest: pl.DataFrame
    contrasts: pl.DataFrame
    noise: pl.DataFrame
    ranking: pl.DataFrame
    transcription: pl.DataFrame
    shared_errors: pl.DataFrame
    costs: pl.DataFrame
    surplus: pl.DataFrame
    probes: pl.DataFrame
    lens: pl.DataFrame
    sufficiency: pl.DataFrame
    erasers: pl.DataFrame
    erasure: pl.DataFrame
    erasure_controls: pl.DataFrame

    def write(self, folder: Path, always: Container[str] = ()) -> None:
        """Write each table as ``{name}.csv``, and of the costs what was measured as ``times.csv``.

        Args:
            folder: Where the files go.
            always: Names in ``OPTIONAL`` that have a file even if they are empty.
        """
        costs, times = costs_table.split(self.costs)
        for name, table in (vars(self) | {"costs": costs, "times": times}).items():
            path = folder / f"{name}.csv"
            if name in OPTIONAL and not table.height and name not in always:
                path.unlink(missing_ok=True)
                continue
            write_csv(table, path)

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        """Read what ``write`` wrote.

        Raises:
            StudyError: A table has other columns: another version of this project wrote it.
        """
        read = {name: _read(folder / f"{name}.csv", schema) for name, schema in FILES.items()}
        costs = costs_table.joined(read["costs"], read.pop("times"))
        return cls(**read | {"costs": costs})


# What a spreadsheet takes for a formula, unless it is a number; a text so begun is written behind an apostrophe.
FORMULA = r"^'*[=+\-@\t\r\n\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}]"
NUMBER = r"^[+\-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+\-]?[0-9]+)?%?$|^[+\-]?(inf|nan)$|^[+\-]$"


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table with full precision, and with no text that a spreadsheet would run."""
    buffer = io.StringIO()
    _of_texts(table, lambda text: _runs(text) & ~text.str.contains(NUMBER), lambda text: "'" + text).write_csv(buffer)
    write_text(path, buffer.getvalue())


def _read(path: Path, schema: Schema) -> pl.DataFrame:
    if path.stem in OPTIONAL and not path.exists():
        return pl.DataFrame(schema=schema)
    return read_csv(path, schema)


def read_csv(path: Path, schema: Schema) -> pl.DataFrame:
    """Read what ``write_csv`` wrote.

    Raises:
        StudyError: The table has other columns: another version of this project wrote it.
    """
    with path.open(encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    if columns != list(schema):
        raise StudyError(f"{path} was made by another version of this project; run snakemake again to renew it")
    # The apostrophe that writing has put there.
    table = pl.read_csv(path, schema=schema)
    return _of_texts(table, lambda text: text.str.starts_with("'") & _runs(text), lambda text: text.str.slice(1))


def _runs(text: pl.Expr) -> pl.Expr:
    return text.str.contains(FORMULA)


def _of_texts(
    table: pl.DataFrame, chosen: Callable[[pl.Expr], pl.Expr], change: Callable[[pl.Expr], pl.Expr]
) -> pl.DataFrame:
    """A table with some of its texts changed."""
    texts = [pl.col(name) for name, kind in table.schema.items() if kind == pl.String]
    return table.with_columns(
        pl.when(chosen(text)).then(change(text)).otherwise(text).alias(text.meta.output_name()) for text in texts
    )
