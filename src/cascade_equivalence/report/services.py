"""Which services answered, in which versions, and what they charged, for the page."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.identity import files_about

COLUMNS = ["model_version", "answered", "cost", "currency"]
NOT_SAID = "a version that it did not name"


def services(answer_files: Iterable[Path], apis: Mapping[str, ApiSpec], who: str = "system") -> dict[str, str]:
    """Say of each service what answered.

    Args:
        answer_files: Answers of a system, or transcripts of a recogniser, of a task and condition each; those of others
            are left out.
        apis: The services, by the name of the system or the recogniser.
        who: What the files say of whom they are: ``system`` or ``asr``.

    Returns:
        By name a line: model and endpoint, every version with its answers and when they came, a warning if there is
        more than one, and what was charged.
    """
    found: dict[str, list[pl.DataFrame]] = {}
    for (system, _, _), path in files_about(answer_files, (who, "task", "condition")).items():
        if system in apis:
            found.setdefault(system, []).append(pl.read_parquet(path, columns=COLUMNS))
    return {name: _line(apis[name], pl.concat(tables)) for name, tables in found.items()}


def _line(spec: ApiSpec, answers: pl.DataFrame) -> str:
    versions = (
        answers.group_by(pl.col("model_version").fill_null(NOT_SAID))
        .agg(pl.len(), first=pl.min("answered"), last=pl.max("answered"))
        .sort("first", "model_version")
    )
    told = ", ".join(
        f"{row['model_version']} ({row['len']:,} answers, {row['first']} to {row['last']})"
        for row in versions.iter_rows(named=True)
    )
    parts = [f"{spec.model} at {spec.endpoint}, answered by {told}"]
    if versions.height > 1:
        parts.append("warning: what answers under this name changed in the midst of the study")
    if answers["cost"].null_count() == 0:
        currencies = " and ".join(sorted(set(answers["currency"].drop_nulls())))
        parts.append(f"charged {answers['cost'].sum():,.2f} {currencies}")
    return "; ".join(parts)
