"""Whether agreement and accuracy move with a dial: slopes over the scales, and the tests of an order.

The tidy table, and as a reader sees it. The statistics are in ``stats/trend.py``, the claims in ``claims.yaml``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.dial import Dial
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.dial_table import ACCURACY, KAPPA, MOVING, SECTION, named, planned
from cascade_equivalence.report.display import MINUS, UNDEFINED, Display, interval, p_value, points_interval
from cascade_equivalence.report.naming import NodeFile, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.stats.statistic import Estimate, Statistic

FALLS, RISES, OPEN, FEW = "falls", "rises", "not shown", "too few texts"
TRENDS: Schema = {
    "adapter": pl.String,
    "base": pl.String,
    "system": pl.String,
    "task": pl.String,
    "condition": pl.String,
    "scales": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
}
for _name in MOVING:
    TRENDS |= {
        **estimate_schema(f"{_name}_slope"),
        f"{_name}_page": pl.Float64,
        f"{_name}_p": pl.Float64,
        f"{_name}_p_adjusted": pl.Float64,
        f"{_name}_trend": pl.String,
        **estimate_schema(f"{_name}_back"),
        f"{_name}_back_p": pl.Float64,
        f"{_name}_back_at": pl.String,
        **estimate_schema(f"{_name}_away"),
        f"{_name}_away_least": pl.Float64,
        f"{_name}_away_most": pl.Float64,
        f"{_name}_reason": pl.String,
    }
"""Adapter x task, clean speech; the ``system`` has the most of the change. ``slope``: least squares, from the least
scale to the most; ``page`` and ``p``: Page's test over texts, of agreement clip by clip in the place of kappa;
``p_adjusted``: over both measures and all tasks; ``back``: the step between neighbouring scales that goes most against
the slope, with its interval, where it is (``back_at``), and its two-sided p times the number of steps; null where no
step goes back; ``away``: the difference of a scale from the least one that is largest,
``away_least`` and ``away_most``: the ends of what the intervals of all scales hold."""


def trends(results: "Results") -> pl.DataFrame:
    """Whether agreement and accuracy go one way with the scale; columns ``TRENDS``.

    Raises:
        StudyError: The systems of a dial did not answer the same clips.
    """
    from cascade_equivalence.stats.mcnemar import adjust

    rows = [
        {
            **{name: named(dial)[name] for name in ("adapter", "base")},
            "system": dial.most.system,
            "task": task,
            "condition": CLEAN,
            "scales": ", ".join(f"{setting.scale:g}" for setting in dial.settings),
            **_trend(dial, task, results),
        }
        for dial in results.outline.dials
        for task in results.outline.ordered_tasks()
        if all(NodeFile(name, task, CLEAN) in results.answers for name in _systems(dial))
    ]
    places = [(row, name) for row in rows for name in MOVING]
    for (row, name), p in zip(places, adjust([row[f"{name}_p"] for row, name in places]), strict=True):
        row[f"{name}_p_adjusted"] = p
        row[f"{name}_trend"] = _word(row, name, results.statistics.fdr)
    return pl.DataFrame(rows, schema=TRENDS, orient="row")


def _systems(dial: Dial) -> list[str]:
    return [name for setting in dial.settings for name in (setting.system, setting.reference)]


def _word(row: Mapping[str, Any], name: str, fdr: float) -> str:
    p = row[f"{name}_p_adjusted"]
    if p is None:
        return FEW
    return OPEN if p > fdr or not row[f"{name}_slope"] else FALLS if row[f"{name}_slope"] < 0 else RISES


def _trend(dial: Dial, task: str, results: "Results") -> dict[str, Any]:
    """Slopes, tests and steps of one task."""
    import numpy as np

    from cascade_equivalence.stats.accuracy import accuracy, accuracy_difference
    from cascade_equivalence.stats.agreement import kappa
    from cascade_equivalence.stats.intervals import difference
    from cascade_equivalence.stats.join import join_pair
    from cascade_equivalence.stats.paired import Paired

    def answers(system: str) -> pl.DataFrame:
        return results.answers[NodeFile(system, task, CLEAN)]

    labels, level = results.labels[task], results.statistics.confidence
    pairs = [
        Paired.of(join_pair(answers(one.system), answers(one.reference), one.reference), labels)
        for one in dial.settings
    ]
    # All scales answer the clips of the first.
    for one in dial.settings[1:]:
        join_pair(answers(dial.settings[0].system), answers(one.system), one.system)
    clusters = pairs[0].clusters
    scales = [one.scale for one in dial.settings]
    kappas = [kappa(pair) for pair in pairs]
    rights = [pair.system_correct for pair in pairs]
    undefined = "at one of the scales both systems gave one and the same answer to every item"
    steps: dict[str, list[Statistic]] = {
        KAPPA: [difference(kappas[i + 1], kappas[i], clusters.count, undefined) for i in range(len(pairs) - 1)],
        ACCURACY: [accuracy_difference(clusters, rights[i + 1], rights[i]) for i in range(len(pairs) - 1)],
    }
    aways: dict[str, list[Statistic]] = {
        KAPPA: [difference(one, kappas[0], clusters.count, undefined) for one in kappas[1:]],
        ACCURACY: [accuracy_difference(clusters, right, rights[0]) for right in rights[1:]],
    }
    values = {KAPPA: kappas, ACCURACY: [accuracy(clusters, right) for right in rights]}
    rows_of = {KAPPA: [pair.system == pair.reference for pair in pairs], ACCURACY: rights}
    groups = clusters.count
    found: dict[str, Any] = {"rows": len(rights[0]), "groups": groups}
    for name in MOVING:
        totals = np.stack([clusters.totals(each) for each in rows_of[name]], axis=1)
        found |= {
            f"{name}_{key}": value
            for key, value in _moved(values[name], (steps[name], aways[name]), totals, scales, groups, level).items()
        }
    return found


def _moved(
    values: "Sequence[Statistic]",
    differences: "tuple[Sequence[Statistic], Sequence[Statistic]]",
    totals: Any,
    scales: Sequence[float],
    groups: int,
    level: float,
) -> dict[str, Any]:
    """Slope, test and the step that goes most against the slope, of one measure."""
    from cascade_equivalence.stats.statistic import estimate, too_few
    from cascade_equivalence.stats.trend import page, slope

    wanted = {
        "slope": slope(
            values,
            [(each - scales[0]) / (scales[-1] - scales[0]) for each in scales],
            groups,
            "it is not defined at one of the scales",
        )
    }
    steps, aways = differences
    beside = {f"{kind}{place}": one for kind, some in (("", steps), ("away", aways)) for place, one in enumerate(some)}
    found = estimate(wanted | beside, groups, level)
    whole = found["slope"]
    tested = None if too_few(groups) or whole.value is None else page(totals)
    against = _against(whole, [found[str(place)] for place in range(len(steps))])
    back = None if against is None else found[str(against)]
    at = None if against is None else f"{scales[against]:g} to {scales[against + 1]:g}"
    return {
        **estimate_values("slope", vars(whole)),
        "page": tested.statistic if tested else None,
        "p": tested.p if tested else None,
        **(estimate_values("back", vars(back)) if back else {}),
        "back_p": _p(back, len(steps), level) if back else None,
        "back_at": at,
        **_furthest([found[f"away{place}"] for place in range(len(aways))]),
        "reason": whole.reason,
    }


def _furthest(differences: "Sequence[Estimate]") -> dict[str, float | None]:
    """The largest of several differences, and what the intervals of all hold; nothing where one has none."""
    lows, highs = ([getattr(each, end) for each in differences] for end in ("low", "high"))
    if any(each is None for each in (*lows, *highs)):
        return {}
    furthest = max(differences, key=lambda each: abs(each.value or 0.0))
    return {**estimate_values("away", vars(furthest)), "away_least": min(lows), "away_most": max(highs)}


def _against(whole: "Estimate", steps: "Sequence[Estimate]") -> int | None:
    """The step that goes furthest against a slope; None where none does."""
    if not whole.value:
        return None
    sizes = [0.0 if step.value is None else step.value * (-1 if whole.value > 0 else 1) for step in steps]
    return max(range(len(sizes)), key=sizes.__getitem__) if max(sizes) > 0 else None


def _p(step: "Estimate", steps: int, level: float) -> float | None:
    """Two-sided p of one of several steps against none (Bonferroni)."""
    from cascade_equivalence.stats.equivalence import p_of_interval

    p = p_of_interval(step.value, step.low, step.high, 0.0, level)
    return None if p is None else min(1.0, steps * p)


def display_trends(table: pl.DataFrame, confidence: float) -> Display:
    """One row an adapter, task and measure."""
    rows = []
    for row in table.iter_rows(named=True):
        for name, title in MOVING.items():
            found, back = ([row[f"{name}_{part}{end}"] for end in ("", "_low", "_high")] for part in ("slope", "back"))
            shown = interval if name == KAPPA else points_interval
            rows.append(
                [
                    row["adapter"],
                    task_title(row["task"]),
                    title if name == KAPPA else f"{title}, points",
                    row[f"{name}_trend"],
                    f"{row['rows']:,} ({row['groups']:,})",
                    UNDEFINED if found[0] is None else shown(*found),
                    *(p_value(row[f"{name}_{p}"]) for p in ("p", "p_adjusted")),
                    "none" if back[0] is None else f"{shown(*back)} from {row[f'{name}_back_at']}",
                ]
            )
    reasons = [
        f"{task_title(row['task'])}, {MOVING[name]}: {row[f'{name}_reason']}."
        for row in table.iter_rows(named=True)
        for name in MOVING
        if row[f"{name}_reason"]
    ]
    return Display(
        name="dial_trends",
        title="Whether agreement and accuracy move with the dial",
        columns=[
            "Adapter",
            "Task",
            "Measure",
            "With the scale it",
            "Clips (texts)",
            f"Slope, least scale to most [{confidence:.0%}]",
            "p (Page)",
            "p adjusted",
            "Largest step back",
        ],
        rows=rows,
        remarks=[
            "Slope: of least squares over the scales, with the interval that the values' own intervals give; it counts "
            f"whole texts. A {MINUS} is a fall. p: Page's test of an order, exact, with texts as blocks; of agreement "
            "it ranks how many clips of a text have the same answer. Adjusted: over all rows of this table "
            "(Benjamini-Hochberg); falls and rises are said at the study's false discovery rate.",
            "Largest step back: the step from one scale to the next that goes most against the slope.",
            *reasons,
        ],
        text_columns=4,
    )


TABLE = Table(
    name="dial_trends",
    section=SECTION,
    schema=TRENDS,
    build=trends,
    display=lambda tables, confidence: display_trends(tables.dial_trends, confidence),
    planned=planned,
)
