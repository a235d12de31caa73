"""Every number of a study that several of its tables hold, with its interval and its mark, from all of them."""

from collections.abc import Iterator, Mapping

import polars as pl

NO_INTERVALS = ("paper", "crossover", "overlap_permuted")
"""The paper's own, a range of levels, and what chance gives."""
ENDS = ("", "_low", "_high")
Key = tuple[str, frozenset[str] | str, str, str, int | None]
Found = tuple[str, tuple[float | str | None, ...]]


def numbers(tables: Mapping[str, pl.DataFrame]) -> Iterator[tuple[Key, Found]]:
    """What each table says of a number.

    Args:
        tables: Tidy tables by name.

    Yields:
        What it is of (kind, who, task, condition, rows), the table, and value with interval, or the mark.
    """
    for name, table in tables.items():
        for row in table.iter_rows(named=True):
            condition = row.get("condition", "clean")
            if "task" not in row:
                continue
            place = (row["task"], condition, row.get("rows"))

            def ends(column: str, row: dict = row) -> tuple[float | None, ...]:
                return tuple(row[f"{column}{end}"] for end in ENDS)

            for column, who in _kappas(row):
                yield ("kappa", who, *place), (name, ends(column))
            if "accuracy_low" in row and "system" in row and "concept" not in row:
                yield ("accuracy", row["system"], *place), (name, ends("accuracy"))
            if {"against_chance", "own_chance"} <= row.keys() and "concept" not in row:
                yield ("mark", row["system"], *place), (name, (row["against_chance"],))
            for arm in ("system", "reference", "first", "second"):
                if f"{arm}_against_chance" in row and arm in row:
                    yield ("mark", row[arm], *place), (name, (row[f"{arm}_against_chance"],))
            if "accuracy_difference_low" in row:
                yield (
                    (f"difference from {row['reference']}", row["system"], *place),
                    (name, ends("accuracy_difference")),
                )
            if name == "ranking":
                yield (f"difference from {row['reference']}", row["system"], *place), (name, ends("difference"))


def _kappas(row: Mapping[str, object]) -> Iterator[tuple[str, frozenset[str]]]:
    if "kappa_low" in row and "reference" in row:
        yield "kappa", frozenset((str(row["system"]), str(row["reference"])))
    for arm in ("first", "second", "implicit", "explicit"):
        if f"kappa_{arm}_low" in row and row.get(arm) and row.get(f"kappa_{arm}") is not None:
            yield f"kappa_{arm}", frozenset((str(row["system"]), str(row[arm])))


def contradictions(tables: Mapping[str, pl.DataFrame]) -> tuple[list[str], int]:
    """Numbers with two values, intervals or marks; and how many numbers more than one table holds."""
    by_key: dict[Key, list[Found]] = {}
    for key, found in numbers(tables):
        by_key.setdefault(key, []).append(found)
    several = {key: found for key, found in by_key.items() if len({table for table, _ in found}) > 1}
    wrong = [f"{key}: {found}" for key, found in several.items() if len({_rounded(each) for _, each in found}) > 1]
    return wrong, len(several)


def _rounded(ends: tuple[float | str | None, ...]) -> tuple[float | str | None, ...]:
    return tuple(round(end, 9) + 0.0 if isinstance(end, float) else end for end in ends)


def zero_widths(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Intervals without a width, or that do not hold their value."""
    wrong = []
    for name, table in tables.items():
        for low in [column for column in table.columns if column.endswith("_low")]:
            value, high = low.removesuffix("_low"), f"{low.removesuffix('_low')}_high"
            if not {value, high} <= set(table.columns):
                continue
            # In the long table of all numbers a row says whose column it is.
            stands = pl.col("statistic") if name == "numbers" else pl.lit(f"{name}.{value}")
            for statistic, *ends in table.select(stands, low, value, high).drop_nulls().iter_rows():
                if statistic.partition(".")[2].startswith(NO_INTERVALS):
                    continue
                if not (ends[0] < ends[2] and ends[0] <= ends[1] <= ends[2]):
                    wrong.append(f"{statistic}: {ends}")
    return wrong
