"""The paper's own numbers (resources/paper/numbers.csv): their columns, vocabulary and reading."""

from pathlib import Path

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import Schema

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

STATISTICS: dict[str, frozenset[str]] = {
    "accuracy": frozenset({"percent"}),
    "accuracy_noise_voices": frozenset({"percent"}),
    "accuracy_loss": frozenset({"points"}),
    "accuracy_difference": frozenset({"points"}),
    "accuracy_reversal": frozenset({"points"}),
    "accuracy_change": frozenset({"points"}),
    "kappa": frozenset({"kappa"}),
    "kappa_difference": frozenset({"kappa"}),
    "mcnemar_p_adjusted": frozenset({"p"}),
    "overlap": frozenset({"share", "percent"}),
    "overlap_chance": frozenset({"percent"}),
    "overlap_ratio": frozenset({"ratio"}),
    "joint_errors_heard_right": frozenset({"percent"}),
    "joint_errors_misheard": frozenset({"percent"}),
    "probe_r2": frozenset({"r2"}),
    "text_decodability": frozenset({"share"}),
    "text_decodability_loss": frozenset({"share"}),
    "lens_precision": frozenset({"share", "percent"}),
    "lens_precision_all": frozenset({"share", "percent"}),
    "lens_precision_gap": frozenset({"percent"}),
    "erased_dimensions": frozenset({"count"}),
    "parameters": frozenset({"billions"}),
    "items": frozenset({"count"}),
    "evaluation_samples": frozenset({"count"}),
    "audio_files": frozenset({"count"}),
    "utterances": frozenset({"count"}),
    "train_utterances": frozenset({"count"}),
    "width": frozenset({"count"}),
    "resamples": frozenset({"count"}),
}
"""What the numbers are, and in which units the paper gives them."""
DESIGN = frozenset(
    {
        "parameters",
        "items",
        "evaluation_samples",
        "audio_files",
        "utterances",
        "train_utterances",
        "width",
        "resamples",
    }
)
"""Numbers of the paper's design: no results, so a study has nothing to set beside them."""
LENS, LENS_ALL = "lens_precision", "lens_precision_all"
"""The paper's lens reads the positions of the audio in one of its models, all of the prompt's in the other."""
LAYERED = frozenset({"probe_r2", "text_decodability", "text_decodability_loss", LENS, LENS_ALL, "lens_precision_gap"})
"""Numbers of single layers."""
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
