"""Two systems' answers, side by side, clip by clip."""

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.answers import KEY, some_keys


def join_pair(system: pl.DataFrame, reference: pl.DataFrame, name: str = "the reference") -> pl.DataFrame:
    """Join two answers tables on (id, voice), strictly one to one.

    Args:
        system: Answers of the system under study: id, voice, group, label, parsed, correct.
        reference: Answers of the system it is compared with, the same columns.
        name: How messages name the reference.

    Returns:
        One row a clip, sorted by (id, voice): id, voice, group, label, system_parsed, system_correct,
        reference_parsed, reference_correct.

    Raises:
        StudyError: A clip occurs twice, is missing from one table, or has another gold label or group there.
    """
    for whose, table in (("the system's answers", system), (f"{name}'s answers", reference)):
        if (twice := table.filter(pl.struct(KEY).is_duplicated())).height:
            raise StudyError(f"{whose} have more than one row for {some_keys(twice.unique(KEY))}")
    for whose, table, other in (("the system", system, reference), (name, reference, system)):
        if (missing := other.join(table, on=KEY, how="anti")).height:
            raise StudyError(f"{whose} has no answer for {some_keys(missing)}; both systems must answer the same clips")

    shared = ["group", "label"]
    joined = system.select(*KEY, *shared, system_parsed="parsed", system_correct="correct").join(
        reference.select(*KEY, *shared, reference_parsed="parsed", reference_correct="correct"),
        on=KEY,
        how="inner",
        suffix="_reference",
        validate="1:1",
    )
    for column in shared:
        differs = joined.filter(pl.col(column).ne_missing(pl.col(f"{column}_reference")))
        if differs.height:
            raise StudyError(
                f"the two systems' answers have another {column} for {some_keys(differs)}; make both again"
            )
    return joined.drop(f"{column}_reference" for column in shared).sort(KEY)
