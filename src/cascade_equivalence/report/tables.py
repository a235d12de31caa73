"""The study's tidy tables as files: one row an observation, full precision."""

import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.atomic import write_text
from cascade_equivalence.errors import StudyError

Schema = dict[str, type[pl.DataType]]


def _estimate(name: str) -> Schema:
    return {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64}


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
    "system_kind": pl.String,
    "reference_kind": pl.String,
    "match": pl.String,
    **PLACE,
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
    **_estimate("kappa_first"),
    **_estimate("kappa_second"),
    **_estimate("kappa_difference"),
    "undefined_draws": pl.Int64,
    "reason": pl.String,
    **_estimate("observed_difference"),
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
}


@dataclass(frozen=True)
class Tables:
    """The tidy tables of a study, with the columns of the schemas above.

    Attributes:
        accuracy: System x task on clean speech, all voices pooled (paper's Table 2).
        agreement: Pair x task x condition (paper's Figure 1 and section 4).
        contrasts: System and two references x task x condition; the only table that a study may lack.
        noise: System x task x condition on the voices that are heard in noise, clean included (paper's Figure 3).
        transcription: Origin of transcripts x task x condition x voice.
    """

    accuracy: pl.DataFrame
    agreement: pl.DataFrame
    contrasts: pl.DataFrame
    noise: pl.DataFrame
    transcription: pl.DataFrame

    def write(self, folder: Path) -> None:
        """Write each table as ``{name}.csv``; a study without contrasts has no file for them."""
        for name, table in vars(self).items():
            path = folder / f"{name}.csv"
            if name == "contrasts" and not table.height:
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
    if path.name == "contrasts.csv" and not path.exists():
        return pl.DataFrame(schema=schema)
    with path.open(encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    if columns != list(schema):
        raise StudyError(f"{path} was made by another version of this project; run snakemake again to renew it")
    return pl.read_csv(path, schema=schema)
