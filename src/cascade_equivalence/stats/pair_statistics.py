"""The statistics of pairs that the package computes, beside those of ``compare``. A new one is a line here."""

from dataclasses import asdict
from typing import Any

from cascade_equivalence.stats.by_rows import by_rows
from cascade_equivalence.stats.equivalence import judge, tests
from cascade_equivalence.stats.errors import errors
from cascade_equivalence.stats.indices import indices
from cascade_equivalence.stats.pair_statistic import Pair, PairStatistic, Settings
from cascade_equivalence.stats.power import power


def _indices(pair: Pair, _: Settings) -> dict[str, Any]:
    return indices(pair.estimates, closed=bool(pair.labels))


def _by_rows(pair: Pair, settings: Settings) -> dict[str, Any]:
    return by_rows(pair.paired, draws=settings.draws, confidence=settings.confidence, seed=settings.seed)


def _tests(pair: Pair, settings: Settings) -> dict[str, Any]:
    return tests(pair.paired, round(1 - settings.confidence, 12))


def _equivalence(pair: Pair, settings: Settings) -> dict[str, Any]:
    return judge(
        pair.paired,
        kappa=pair.estimates["kappa"],
        difference=pair.estimates["accuracy_difference"],
        accuracy_margin=settings.accuracy_margin,
        kappa_bound=settings.kappa_bound,
        confidence=settings.confidence,
    )


def _power(pair: Pair, settings: Settings) -> dict[str, Any]:
    return power(
        pair.paired,
        found_kappa=asdict(pair.estimates["kappa"]),
        found_difference=asdict(pair.estimates["accuracy_difference"]),
        margin=settings.accuracy_margin,
        confidence=settings.confidence,
    )


def _errors(pair: Pair, settings: Settings) -> dict[str, Any]:
    return errors(
        pair.answers,
        pair.paired,
        pair.labels,
        heard=pair.heard,
        draws=settings.draws,
        confidence=settings.confidence,
        seed=settings.seed,
    )


KIND = PairStatistic
OWN = (
    PairStatistic("indices", _indices),
    PairStatistic("by_rows", _by_rows),
    PairStatistic("tests", _tests),
    PairStatistic("equivalence", _equivalence),
    PairStatistic("power", _power),
    PairStatistic("errors", _errors),
)
