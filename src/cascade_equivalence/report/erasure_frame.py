"""Tidy tables of what erasing concepts does to a model's answers (paper's Table 7), from the nodes' files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.config.mechanism import BASELINE
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.erasure_answers import Asked, ErasureCondition, read_erased
from cascade_equivalence.report.mechanism_frames import estimate_values, reasons
from cascade_equivalence.report.mechanism_names import BAG, HEARD, READ, ErasureFile, control_names, ranks
from cascade_equivalence.report.mechanism_schemas import ERASURE, ERASURE_CONTROLS
from cascade_equivalence.report.naming import in_order
from cascade_equivalence.stats import erasure as stats
from cascade_equivalence.stats.accuracy import against_chance, levels, no_chance
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.intervals import difference
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate, value_of

UNERASED = ErasureCondition(HEARD, "none", BASELINE, "none")
OTHER_ITEMS = "the two models answered other items"
MEASURES = (stats.ACCURACY, stats.FORCED)


def erasure_tables(
    files: Iterable[Path], labels: Mapping[str, Sequence[str]], statistics: StatisticsConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Answers under erasure, against nothing erased and against the controls.

    Args:
        files: Of a model, concept and task each; the concept ``none`` is the baseline.
        labels: Closed label set of each task; empty for open answers.
        statistics: Level of the intervals.

    Returns:
        Tables with the columns ``ERASURE`` and ``ERASURE_CONTROLS``.

    Raises:
        StudyError: A baseline is missing, two files are about the same, or conditions hold other items than it.
    """
    found = {ErasureFile(*of): path for of, path in files_about(files, ErasureFile._fields).items()}
    models, places = ranks(name.model for name in found), ranks(in_order(name.task for name in found))
    asked = sorted({(name.model, name.task) for name in found}, key=lambda one: (models[one[0]], places[one[1]]))
    rows: list[dict[str, Any]] = []
    controls: list[dict[str, Any]] = []
    seen: list[Asked] = []
    for model, task in asked:
        if task not in labels:
            raise StudyError(f"{task} (erased in {model}) is not part of this study")
        parts = {name.concept: path for name, path in found.items() if (name.model, name.task) == (model, task)}
        answers = read_erased(model, task, parts, labels[task])
        rows += _condition_rows(answers, statistics)
        controls += _control_rows(answers, statistics)
        seen.append(answers)
    for one in seen:
        for other in seen:
            if one.task == other.task and one.model != other.model:
                controls += _between_models(one, other, statistics)
    controls.sort(key=lambda row: models[row["model"]])
    return pl.DataFrame(rows, schema=ERASURE, orient="row"), pl.DataFrame(
        controls, schema=ERASURE_CONTROLS, orient="row"
    )


def _condition_rows(asked: Asked, statistics: StatisticsConfig) -> Iterator[dict[str, Any]]:
    chance = levels(asked.gold, asked.labels)["chance"]
    fitted: dict[tuple[Any, ...], Statistic] = {}
    conditions = [
        *((UNERASED._replace(arm=arm), answers) for arm, answers in asked.baselines.items()),
        *asked.erased.items(),
    ]
    for condition, answers in conditions:
        for name, statistic in _statistics(asked, condition, answers).items():
            if not condition.is_draw:
                fitted[condition, name] = statistic
    found = _estimate(fitted, asked.clusters, statistics)
    for condition, answers in conditions:
        if condition.is_draw:
            mine = {
                name: _point(statistic, asked.clusters)
                for name, statistic in _statistics(asked, condition, answers).items()
            }
        else:
            mine = {name: each for (other, name), each in found.items() if other == condition}
        yield {
            "model": asked.model,
            "task": asked.task,
            **condition._asdict(),
            "rows": len(answers.correct),
            "groups": asked.clusters.count,
            "parsed": int(answers.parsed.sum()),
            "forced_rows": int(np.isfinite(answers.forced).sum()),
            "kl_rows": int(np.isfinite(answers.kl).sum()),
            "seen_rows": int(answers.seen.sum()),
            **{key: value for name, each in mine.items() for key, value in estimate_values(name, each).items()},
            "chance": chance,
            **(
                against_chance(answers.answers, asked.gold, asked.clusters, statistics.confidence)
                if asked.labels
                else no_chance()
            ),
            "reason": reasons(mine),
        }


def _statistics(asked: Asked, condition: ErasureCondition, answers: stats.ErasedAnswers) -> dict[str, Statistic]:
    found = stats.measures(asked.clusters, answers)
    if condition.concept == BASELINE:
        return found
    return found | stats.changes(asked.clusters, answers, asked.baselines[condition.arm])


def _control_rows(asked: Asked, statistics: StatisticsConfig) -> Iterator[dict[str, Any]]:
    """Concepts against their controls, and hearing against reading."""
    compared: dict[tuple[Any, ...], Statistic] = {}
    nulls: dict[tuple[Any, ...], stats.Null | None] = {}
    for condition, answers in asked.erased.items():
        if condition.is_draw:
            continue
        for control in control_names():
            for measure in MEASURES if (draws := asked.draws(condition, control)) else ():
                key = condition, control, measure
                compared[key] = stats.against_draws(asked.clusters, answers, draws, measure)
                nulls[key] = _null(answers, draws, measure)
        for measure in MEASURES:
            if (statistic := asked.order_against_bag(condition, measure)) is not None:
                compared[condition, BAG, measure], nulls[condition, BAG, measure] = statistic, None
        reading = asked.erased.get(condition._replace(arm=READ))
        if condition.arm == HEARD and reading is not None:
            for measure in MEASURES:
                key = condition, READ, measure
                bases = asked.baselines[HEARD], asked.baselines[READ]
                compared[key] = stats.against_reading(asked.clusters, answers, bases[0], reading, bases[1], measure)
                nulls[key] = None
    found = _estimate(compared, asked.clusters, statistics)
    for key, apart in found.items():
        condition, control, measure = key
        value = _level(asked.erased[condition], measure)
        null = nulls[key]
        yield {
            "model": asked.model,
            "task": asked.task,
            **condition._asdict(),
            "control": control,
            "measure": measure,
            "value": value,
            **(
                {
                    "draws": null.draws,
                    "control_mean": null.mean,
                    "control_lowest": null.lowest,
                    "control_highest": null.highest,
                    "at_or_below": null.at_or_below,
                    "p": null.p,
                }
                if null
                else {}
            ),
            **estimate_values("difference", apart),
            "reason": apart.reason,
        }


def _between_models(one: Asked, other: Asked, statistics: StatisticsConfig) -> Iterator[dict[str, Any]]:
    """Whether what CTC leaves beside what BoC leaves differs between two models, item by item."""
    for condition, answers in one.erased.items():
        for measure in MEASURES:
            mine = one.order_against_bag(condition, measure)
            theirs = other.order_against_bag(condition, measure) if condition in other.erased else None
            if mine is None or theirs is None:
                continue
            found = Estimate(None, None, None, OTHER_ITEMS)
            if one.items == other.items:
                statistic = difference(mine, theirs, one.clusters.count, mine.undefined)
                found = estimate({"": statistic}, one.clusters.count, statistics.confidence)[""]
            yield {
                "model": one.model,
                "task": one.task,
                **condition._asdict(),
                "control": BAG,
                "other_model": other.model,
                "measure": measure,
                "value": _level(answers, measure),
                **estimate_values("difference", found),
                "reason": found.reason,
            }


def _level(answers: stats.ErasedAnswers, measure: str) -> float | None:
    values = answers.measured(measure)
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else None


def _null(answers: stats.ErasedAnswers, draws: Sequence[stats.ErasedAnswers], measure: str) -> stats.Null | None:
    value, others = _level(answers, measure), [_level(draw, measure) for draw in draws]
    if value is None or (drawn := [other for other in others if other is not None]) == []:
        return None
    return stats.among(value, drawn)


def _estimate(
    statistics_of: Mapping[Any, Statistic], clusters: Clusters, statistics: StatisticsConfig
) -> dict[Any, Estimate]:
    return estimate(statistics_of, clusters.count, statistics.confidence)


def _point(statistic: Statistic, clusters: Clusters) -> Estimate:
    """A value alone."""
    value = value_of(statistic, clusters.count)
    missing = np.isnan(value)
    return Estimate(None if missing else value, None, None, statistic.undefined if missing else None)
