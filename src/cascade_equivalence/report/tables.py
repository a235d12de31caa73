"""The study's tidy tables as files: one row an observation, full precision."""

import io
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.atomic import write_text
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import Schema, estimate
from cascade_equivalence.report.mechanism_schemas import MECHANISM_SCHEMAS

PLACE: Schema = {"task": pl.String, "condition": pl.String, "snr_db": pl.Float64}
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
    "chance": pl.Float64,
    "majority": pl.Float64,
    "against_chance": pl.String,
}
NOISE: Schema = ACCURACY | estimate("change")
AGREEMENT: Schema = {
    "pair": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "system_kind": pl.String,
    "reference_kind": pl.String,
    "match": pl.String,
    **PLACE,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate("kappa"),
    "kappa_undefined_draws": pl.Int64,
    "kappa_reason": pl.String,
    **estimate("observed_agreement"),
    **estimate("accuracy_difference"),
    "only_system_right": pl.Int64,
    "only_reference_right": pl.Int64,
    "mcnemar_p": pl.Float64,
    "mcnemar_method": pl.String,
    "mcnemar_p_adjusted": pl.Float64,
    "accuracies_differ": pl.Boolean,
    "both_wrong": pl.Int64,
    "same_wrong": pl.Int64,
    **estimate("overlap"),
    "overlap_reason": pl.String,
    "overlap_informative": pl.Boolean,
    "overlap_chance": pl.Float64,
    "overlap_chance_empirical": pl.Float64,
    "system_against_chance": pl.String,
    "reference_against_chance": pl.String,
}
CONTRASTS: Schema = {
    "contrast": pl.String,
    "system": pl.String,
    "first": pl.String,
    "second": pl.String,
    "match_first": pl.String,
    "match_second": pl.String,
    **PLACE,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate("kappa_first"),
    **estimate("kappa_second"),
    **estimate("kappa_difference"),
    "undefined_draws": pl.Int64,
    "reason": pl.String,
    **estimate("observed_difference"),
    "system_against_chance": pl.String,
    "first_against_chance": pl.String,
    "second_against_chance": pl.String,
}
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
    "agreement": AGREEMENT,
    "contrasts": CONTRASTS,
    "noise": NOISE,
    "transcription": TRANSCRIPTION,
    **MECHANISM_SCHEMAS,
}
OPTIONAL = frozenset({"contrasts", *MECHANISM_SCHEMAS})
"""Tables that a study need not have: empty ones have no file, unless it is asked for."""


@dataclass(frozen=True)
class Tables:
    """The tidy tables of a study, with the columns of the schemas above.

    Attributes:
        accuracy: System x task on clean speech, all voices pooled (paper's Table 2).
        agreement: Pair x task x condition (paper's Figure 1 and section 4).
        contrasts: System and two references x task x condition.
        noise: System x task x condition on the voices that are heard in noise, clean included (paper's Figure 3).
        transcription: Origin of transcripts x task x condition x voice.
        probes: Opened model x layer x probe (paper's Figure 4 and Table 4).
        lens: Opened speech LLM x layer (paper's Figure 5 and Table 5).
        sufficiency: Speech LLM and two cascades with its LLM x task (paper's Table 6).
        erasers: Opened speech LLM x concept x layer.
        erasure: Opened speech LLM x task x condition of the erasure (paper's Figure 6 and Table 7).
        erasure_controls: Condition of the erasure x control x measure.
    """

    accuracy: pl.DataFrame
    agreement: pl.DataFrame
    contrasts: pl.DataFrame
    noise: pl.DataFrame
    transcription: pl.DataFrame
    probes: pl.DataFrame
    lens: pl.DataFrame
    sufficiency: pl.DataFrame
    erasers: pl.DataFrame
    erasure: pl.DataFrame
    erasure_controls: pl.DataFrame

    def write(self, folder: Path, always: Container[str] = ()) -> None:
        """Write each table as ``{name}.csv``.

        Args:
            folder: Where the files go.
            always: Names in ``OPTIONAL`` that have a file even if they are empty.
        """
        for name, table in vars(self).items():
            path = folder / f"{name}.csv"
            if name in OPTIONAL and not table.height and name not in always:
                path.unlink(missing_ok=True)
                continue
            buffer = io.StringIO()
            table.write_csv(buffer)
            write_text(path, buffer.getvalue())

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        """Read what ``write`` wrote.

        Raises:
            StudyError: A table has other columns: another version of this project wrote it.
        """
        return cls(**{name: _read(folder / f"{name}.csv", schema) for name, schema in SCHEMAS.items()})


def _read(path: Path, schema: Schema) -> pl.DataFrame:
    if path.stem in OPTIONAL and not path.exists():
        return pl.DataFrame(schema=schema)
    with path.open(encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    if columns != list(schema):
        raise StudyError(f"{path} was made by another version of this project; run snakemake again to renew it")
    return pl.read_csv(path, schema=schema)
