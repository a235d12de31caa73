"""The tidy tables of agreement and of contrasts, from the numbers of comparisons."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report import pair_tables, retest_table
from cascade_equivalence.report.columns import (
    PLACE,
    SIZE,
    PairColumn,
    Schema,
    count,
    estimate,
    later,
    number,
    place_values,
    reason,
    text,
)
from cascade_equivalence.report.errors_table import CHANCE, OVERLAP
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.table import Table
from cascade_equivalence.report.tests_table import CORRECTED, DISCORDANT

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.stats.numbers import Number

AGREEMENT: dict[str, PairColumn] = {
    **estimate("kappa"),
    "kappa_reason": reason("kappa"),
    **estimate("observed_agreement"),
    **estimate("accuracy_difference"),
    **DISCORDANT,
    "mcnemar_p_adjusted": later(pl.Float64),
    "row_test_size": number("tests.row_test.size"),
    "clustered_p": number("tests.clustered.p"),
    "clustered_p_adjusted": later(pl.Float64),
    "accuracies_differ": later(pl.Boolean),
    "both_wrong": count("overlap.both_wrong"),
    "same_wrong": count("overlap.same_wrong"),
    **OVERLAP,
    **CHANCE,
    "system_against_chance": text("system.against_chance"),
    "reference_against_chance": text("reference.against_chance"),
    **{name: later(kind) for name, kind in retest_table.BESIDE.items()},
}
CONTRASTS: dict[str, PairColumn] = {
    "match_first": text("match_first"),
    "match_second": text("match_second"),
    **{name: PairColumn(kind, lambda _: None) for name, kind in PLACE.items()},
    **SIZE,
    **estimate("kappa_first", "first.kappa"),
    **estimate("kappa_second", "second.kappa"),
    **estimate("kappa_difference"),
    "p": later(pl.Float64),
    "p_adjusted": later(pl.Float64),
    "agreements_differ": later(pl.Boolean),
    "reason": reason("kappa_difference"),
    **estimate("observed_difference"),
    **{f"{arm}_against_chance": text(f"{arm}.against_chance") for arm in ("system", "first", "second")},
}
CONTRAST_OF = ("contrast", "system", "first", "second")
CONTRAST_SCHEMA: Schema = dict.fromkeys(CONTRAST_OF, pl.String) | {name: cell.kind for name, cell in CONTRASTS.items()}


def _compared(results: "Results") -> pl.DataFrame:
    """With corrected p-values, and how far systems agree with themselves."""
    from cascade_equivalence.report.families import correct

    rows = results.pairs["agreement"]
    correct(rows, CORRECTED, results.statistics)
    for row in rows:
        # By texts: the paper's test of clips finds differences that are not there.
        p = row["clustered_p_adjusted"]
        row["accuracies_differ"] = None if p is None else p <= results.statistics.fdr
    return retest_table.beside(results.in_order(AGREEMENT_TABLE), results["retest"])


def contrasts_frame(numbers: pl.DataFrame, outline: Outline, statistics: StatisticsConfig) -> pl.DataFrame:
    """The table of contrasts, sorted for a reader.

    Args:
        numbers: Numbers of each contrast.
        outline: Names and order.
        statistics: False discovery rate and families of the tests.
    """
    from cascade_equivalence.report.families import correct
    from cascade_equivalence.stats.numbers import by_comparison

    rows: list[dict[str, Any]] = []
    for (system, first, second, task, condition), found in by_comparison(numbers):
        label = outline.contrast_label(system, first, second)
        row = dict(zip(CONTRAST_OF, (label, system, first, second), strict=True))
        row |= {name: cell.read(found) for name, cell in CONTRASTS.items()} | place_values(task, condition)
        rows.append(row | {"p": _p_of_zero(found["kappa_difference"], statistics.confidence)})
    correct(rows, ("p",), statistics)
    for row in rows:
        row["agreements_differ"] = None if row["p_adjusted"] is None else row["p_adjusted"] <= statistics.fdr
    return outline.sort(pl.DataFrame(rows, schema=CONTRAST_SCHEMA, orient="row"))


def _p_of_zero(found: "Number", confidence: float) -> float | None:
    from cascade_equivalence.stats.equivalence import p_of_interval

    return p_of_interval(found.value, found.low, found.high, 0.0, confidence)


AGREEMENT_TABLE = Table(
    name="agreement",
    section="agreement",
    columns=AGREEMENT,
    build=_compared,
    display=lambda tables, confidence: pair_tables.agreement(tables.agreement, confidence),
)
CONTRASTS_TABLE = Table(
    name="contrasts",
    section="agreement",
    schema=CONTRAST_SCHEMA,
    build=lambda results: contrasts_frame(results.contrasts, results.outline, results.statistics),
    display=lambda tables, confidence: pair_tables.contrasts(tables.contrasts, tables.agreement, confidence),
    planned=lambda study: bool(study.config.contrasts),
)
