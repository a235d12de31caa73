"""Numbers as rows: what each is of, which statistic it is, its value and interval; comparisons are written like this.

Open this to see how what ``compare`` and ``contrast`` find lies in the files of their nodes.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing

OF = ("system", "reference", "second_reference", "task", "condition")
"""What a number of a comparison is of; ``second_reference`` is that of a contrast."""
LONG = {
    **dict.fromkeys((*OF, "statistic"), pl.String),
    **dict.fromkeys(("value", "low", "high"), pl.Float64),
    **dict.fromkeys(("text", "reason"), pl.String),
}
"""``statistic``: names from the whole to the part, with points between: ``errors.consistency.kappa``. ``value``: the
number, 0 or 1 where it says whether; null where it is undefined, or is a ``text``. ``low``, ``high``: its interval.
``reason``: why there is no value or interval."""
ESTIMATE = {"value", "low", "high", "reason"}


class Number(NamedTuple):
    """A statistic's value, with its interval or as text, and why it is missing."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    text: str | None = None
    reason: str | None = None


def numbers_of(found: Any, name: str = "") -> Iterator[tuple[str, Number]]:
    """The numbers in what a comparison finds, by their names.

    Args:
        found: Mappings of mappings that end in numbers, texts, lists and None; an estimate is one number.
        name: What all names begin with.
    """
    if isinstance(found, Mapping):
        estimate = {part: found[part] for part in ESTIMATE if part in found} if "value" in found else {}
        if estimate:
            yield name, Number(**estimate)
        for part, each in found.items():
            if part not in estimate:
                yield from numbers_of(each, f"{name}.{part}" if name else part)
    elif found is None or isinstance(found, int | float):
        yield name, Number(None if found is None else float(found))
    else:
        yield name, Number(text=found if isinstance(found, str) else json.dumps(found))


def write_comparison(found: Mapping[str, Any], of: Mapping[str, str], path: Path) -> None:
    """Write what a comparison finds as CSV with the columns ``LONG``.

    Args:
        found: What ``compare`` or ``contrast`` gives.
        of: Values of ``OF``.
        path: The file; it appears complete or not at all.
    """
    rows = [{**of, "statistic": name, **number._asdict()} for name, number in numbers_of(found)]
    with replacing(path) as part:
        pl.DataFrame(rows, schema=LONG, orient="row").write_csv(part)


def read_comparison(path: Path) -> pl.DataFrame:
    """Read what ``write_comparison`` wrote.

    Raises:
        StudyError: The file is damaged, or of another version.
    """
    try:
        table = pl.read_csv(path, infer_schema=False)
        if table.columns != list(LONG):
            raise StudyError(f"{path} was made by another version of this project; run snakemake again to renew it")
        return table.cast(LONG)  # type: ignore[arg-type]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StudyError(f"{path} cannot be read ({error}): remove it and run again") from error


def by_comparison(numbers: pl.DataFrame) -> Iterator[tuple[tuple[Any, ...], dict[str, Number]]]:
    """What comparisons found, one by one, by the names of the statistics; in the order of the rows."""
    parts = ("statistic", *Number._fields)
    for of, rows in numbers.group_by(OF, maintain_order=True):
        yield of, {name: Number(*values) for name, *values in rows.select(parts).iter_rows()}
