"""The answers of one system to one task in one condition, checked before anything is computed from them."""

from collections.abc import Sequence

import polars as pl

from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.vocabulary import INVALID

KEY = ["id", "voice"]
COLUMNS = [*KEY, "group", "label", "parsed", "correct"]
SHOWN = 3


def some_keys(rows: pl.DataFrame) -> str:
    """Name the first few keys of a table, and how many more there are."""
    return some_of([f"{item} in voice {voice}" for item, voice in rows.select(KEY).sort(KEY).iter_rows()], SHOWN)


def check_answers(answers: pl.DataFrame, labels: Sequence[str], whose: str = "the answers") -> pl.DataFrame:
    """Check an answers table.

    Args:
        answers: One row a clip, with at least the columns in ``COLUMNS``.
        labels: The closed label set; empty for open answers.
        whose: How messages name the table.

    Returns:
        The columns in ``COLUMNS``.

    Raises:
        StudyError: A column or value is missing, there are no rows, a key occurs twice, a label is not in the set, or
            ``correct`` contradicts the parsed answer.
    """
    if missing := sorted(set(COLUMNS) - set(answers.columns)):
        raise StudyError(f"{whose} lack the columns {', '.join(missing)}; make them again")
    if not answers.height:
        raise StudyError(f"{whose} are empty: there is nothing to compare")
    table = answers.select(COLUMNS)
    if (holes := table.filter(pl.any_horizontal(pl.all().is_null()))).height:
        raise StudyError(f"{whose} have rows with missing values: {some_keys(holes)}")
    if (twice := table.filter(pl.struct(KEY).is_duplicated())).height:
        raise StudyError(f"{whose} have more than one row for {some_keys(twice.unique(KEY))}")
    if labels:
        strange = table.filter(~pl.col("label").is_in(labels) | ~pl.col("parsed").is_in([*labels, INVALID]))
        if strange.height:
            raise StudyError(f"{whose} have labels outside {', '.join(labels)}: {some_keys(strange)}")
        if (wrong := table.filter(pl.col("correct") != (pl.col("parsed") == pl.col("label")))).height:
            raise StudyError(f"{whose} are marked right or wrong against their own labels: {some_keys(wrong)}")
    return table
