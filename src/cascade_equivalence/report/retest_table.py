"""How far systems that are asked again agree with themselves, as tidy columns and as a reader sees it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.config.names import VARIANTS
from cascade_equivalence.report.columns import SIZE, PairColumn, Schema, estimate, reason, text
from cascade_equivalence.report.display import NOT_RUN, Display, decimal, ends, interval, points_interval
from cascade_equivalence.report.naming import Outline, task_title
from cascade_equivalence.report.table import Table

COLUMNS: dict[str, PairColumn] = {
    "variant": text("variant"),
    "setting": text("setting"),
    **SIZE,
    **estimate("kappa"),
    **estimate("observed_agreement"),
    **estimate("accuracy_difference"),
    "reason": reason("kappa"),
}
PLACE = ("system", "task", "condition")
SCHEMA: Schema = dict.fromkeys(PLACE, pl.String) | {name: cell.kind for name, cell in COLUMNS.items()}
"""``setting`` says what was changed; the difference of accuracies is again minus usual; ``reason`` is kappa's."""
BESIDE: Schema = {"retest_kappa": pl.Float64}
"""Column of the tables of pairs: the lowest kappa of either of the two with itself, over the variants."""
LIMIT = (
    "The retest κ says how far a system's answers depend on what should not matter. It is no ceiling of a pair whose "
    "two systems are asked in the same way: they may agree more than either agrees with itself when asked in another."
)


def frame(files: Iterable[Path], outline: Outline) -> pl.DataFrame:
    """One row a system, task and variant, in a reader's order.

    Args:
        files: Numbers that ``stats.retest.retest`` gives, with ``variant`` and ``setting``.
        outline: Names and order.
    """
    from cascade_equivalence.stats.numbers import by_comparison, read_comparison

    rows: list[dict[str, Any]] = []
    for path in files:
        for (system, _, _, task, condition), found in by_comparison(read_comparison(path)):
            row = dict(zip(PLACE, (system, task, condition), strict=True))
            rows.append(row | {name: cell.read(found) for name, cell in COLUMNS.items()})
    orders = [list(outline.systems), outline.ordered_tasks(), list(VARIANTS)]
    names = ("system", "task", "variant")
    rows.sort(key=lambda row: [order.index(row[name]) for order, name in zip(orders, names, strict=True)])
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def beside(pairs: pl.DataFrame, retest: pl.DataFrame) -> pl.DataFrame:
    """A table of pairs with ``retest_kappa``; null where neither of the two was asked again, or none is defined.

    Args:
        pairs: A tidy table of pairs, with the column.
        retest: The tidy retest table.
    """
    lowest = retest.group_by(PLACE).agg(pl.col("kappa").min())
    either = [
        pairs.select(pl.col(side).alias("system"), *PLACE[1:]).join(lowest, on=PLACE, how="left", maintain_order="left")
        for side in ("system", "reference")
    ]
    return pairs.with_columns(retest_kappa=pl.min_horizontal(table["kappa"] for table in either))


def heads(pairs: pl.DataFrame) -> list[str]:
    """The column beside kappa in a display of pairs; none where no system of the study was asked again."""
    return ["retest κ"] if pairs["retest_kappa"].is_not_null().any() else []


def cells(pairs: pl.DataFrame, row: Mapping[str, Any]) -> list[str]:
    """What stands in that column in a row."""
    kappa = row["retest_kappa"]
    return [NOT_RUN if kappa is None else decimal(kappa) for _ in heads(pairs)]


def remarks(pairs: pl.DataFrame) -> list[str]:
    """What the column says."""
    told = (
        "Retest κ: how far each of the two that was asked again agrees with itself, at the least, under what should "
        f"not matter (the table on that says who was asked, and in which ways). {LIMIT}"
    )
    return [told for _ in heads(pairs)]


def display(table: pl.DataFrame, confidence: float) -> Display:
    """What "the same system" means: one row a system, task and variant."""
    rows = [
        [
            row["system"],
            task_title(row["task"]),
            row["variant"],
            row["setting"],
            f"{row['rows']:,} ({row['groups']:,})",
            ends(row, "kappa"),
            interval(*(row[f"observed_agreement{end}"] for end in ("", "_low", "_high"))),
            points_interval(*(row[f"accuracy_difference{end}"] for end in ("", "_low", "_high"))),
        ]
        for row in table.iter_rows(named=True)
    ]
    chosen = [name for name in VARIANTS if name in table["variant"]]
    return Display(
        name="retest",
        title="The same system, asked again under what should not matter",
        columns=[
            "System",
            "Task",
            "Variant",
            "What was changed",
            "Clips (texts)",
            f"κ [{confidence:.0%}]",
            f"Same answer [{confidence:.0%}]",
            f"Accuracy difference [{confidence:.0%}]",
        ],
        rows=rows,
        remarks=[
            LIMIT,
            "Variants: " + "; ".join(f"{name}, {VARIANTS[name].title}" for name in chosen) + ".",
            "Each system is compared with its own answers to the same clips, clean speech. Transcripts are not made "
            "again: of a cascade it is the LLM that is asked again, of a speech LLM the whole. Where options stand in "
            "another order, answers are compared by the option that they name. The difference is again minus usual.",
            *(f"{reason}." for reason in table["reason"].drop_nulls().unique(maintain_order=True)),
        ],
        text_columns=4,
    )


def sentence(equivalence: pl.DataFrame) -> str:
    """Say what the retest kappa of a pair is.

    Args:
        equivalence: Rows of one pair of the tidy equivalence table, clean speech.

    Returns:
        A sentence; empty where neither of the two was asked again.
    """
    known = equivalence.filter(pl.col("retest_kappa").is_not_null()).select("task", "retest_kappa").rows()
    if not known:
        return ""
    told = ", ".join(f"{decimal(kappa)} on {task_title(task)}" for task, kappa in known)
    return (
        "Asked again under what should not matter, each of the two that was asked agrees with itself to κ of at least "
        f"{told}."
    )


TABLE = Table(
    name="retest",
    schema=SCHEMA,
    build=lambda results: frame(results.retests, results.outline),
    display=lambda tables, confidence: display(tables.retest, confidence),
    planned=lambda study: bool(study.config.statistics.repeats),
)
