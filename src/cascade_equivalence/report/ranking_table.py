"""Which of two systems is better as noise grows, as tidy columns and as a reader sees it (paper section 4.4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN, NOISE_KINDS, Scale, families, parse_condition, sort_conditions
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import PAIR, Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import MINUS, NOT_RUN, UNDEFINED, Display, points_ends
from cascade_equivalence.report.naming import NodeFile, condition_title, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

SCHEMA: Schema = {
    **estimate_schema("difference"),
    **estimate_schema("change"),
    "reversed": pl.String,
    **estimate_schema("crossover"),
    "crossover_censored": pl.Boolean,
    "crossover_low_censored": pl.Boolean,
    "crossover_high_censored": pl.Boolean,
    "crossover_unit": pl.String,
    "crossover_share": pl.Float64,
    "crossover_reason": pl.String,
}
"""Differences of accuracies, the system's minus the reference's. Each kind of noise is a family of its own, with clean
speech in it: here ``noise`` names the family of a row. The crossover is one of pair, task and family, and is in each of
their rows, in dB or ms; where it or an end of its interval is censored, it lies at a milder level than the one given:
above a ratio, below a reverberation time."""
JUDGED = ("accuracies_differ", "accuracy_difference")
ENDS = {"": "value", "_low": "low", "_high": "high"}
"""Ends of columns, and what they are called in the results."""


def frame(
    answers: Mapping[NodeFile, pl.DataFrame],
    agreement: pl.DataFrame,
    labels: Mapping[str, Sequence[str]],
    statistics: StatisticsConfig,
) -> pl.DataFrame:
    """One row a pair, task, kind of noise and condition, clean speech included, of the tasks that are run in noise.

    Args:
        answers: Answers by system, task and condition.
        agreement: Tidy agreement table: which pairs there are, in the order of the rows.
        labels: Closed label set of each task; empty for open answers.
        statistics: Draws, level and seed of the intervals.

    Returns:
        The columns of pairs and ``SCHEMA``; ``rows`` and ``groups`` are those of the voices that are heard in noise.

    Raises:
        StudyError: The answers of a pair are missing in a condition, or are not about the same clips.
    """
    from cascade_equivalence.stats.ranking import ranking

    rows: list[dict[str, Any]] = []
    for (system, reference, task), part in agreement.group_by("system", "reference", "task", maintain_order=True):
        for kind, names in families(part["condition"]).items():
            places = {
                parse_condition(row["condition"]).level: row | {"noise": kind}
                for row in part.select(*PAIR, *JUDGED).iter_rows(named=True)
                if row["condition"] in (CLEAN, *names)
            }
            scale = NOISE_KINDS[kind].scale
            try:
                found = ranking(
                    _heard(answers, str(system), str(task), places),
                    _heard(answers, str(reference), str(task), places),
                    labels[str(task)],
                    scale=scale,
                    draws=statistics.draws,
                    confidence=statistics.confidence,
                    seed=statistics.seed,
                )
            except StudyError as error:
                raise StudyError(f"{system} and {reference} on {task}: {error}") from error
            signs = {level: _sign(place) for level, place in places.items()}
            rows += _rows(found, places, scale.unit, signs)
    return pl.DataFrame(rows, schema=PAIR | SCHEMA, orient="row")


def _rows(
    found: Mapping[str, Any],
    places: Mapping[float | None, Mapping[str, Any]],
    unit: str,
    signs: Mapping[float | None, int],
) -> Iterator[dict[str, Any]]:
    """Rows of one pair, task and kind of noise; ``signs`` says whose lead the agreement table shows at each level."""
    from cascade_equivalence.stats.ranking import APPARENT, SHOWN

    turn = _crossover(found["crossover"]) | {"crossover_unit": unit}
    for each in found["conditions"]:
        row = {**places[each["level"]], "rows": found["rows"], "groups": found["groups"], **turn}
        row |= estimate_values("difference", each["difference"])
        row |= estimate_values("change", each["change"]) if each["change"] else {}
        turned = each["reversed"]
        # Of many orders some turn by chance: shown is what the correction for all tests leaves, before and after.
        if turned == SHOWN and signs[None] * signs[each["level"]] >= 0:
            turned = APPARENT
        yield row | {"reversed": turned}


def _sign(place: dict[str, Any]) -> int:
    """Whose lead is shown after the correction: 1 of the system, -1 of the reference, 0 of neither."""
    differ, difference = (place.pop(name) for name in JUDGED)
    return (difference > 0) - (difference < 0) if differ else 0


def _heard(
    answers: Mapping[NodeFile, pl.DataFrame], who: str, task: str, places: Mapping[float | None, Mapping[str, Any]]
) -> dict[float | None, pl.DataFrame]:
    """A system's answers by level of one noise; on clean speech, those of the voices that are heard in noise."""
    nodes = {level: NodeFile(who, task, place["condition"]) for level, place in places.items()}
    found = {level: answers[node] for level, node in nodes.items() if node in answers}
    voices = {voice for level, table in found.items() if level is not None for voice in table["voice"].unique()}
    if None in found:
        found[None] = found[None].filter(pl.col("voice").is_in(sorted(voices)))
    return found


def _crossover(found: Mapping[str, Any]) -> dict[str, Any]:
    columns = estimate_values("crossover", found)
    columns |= {f"crossover{end}_censored": found[f"{name}_censored"] for end, name in ENDS.items()}
    return columns | {"crossover_share": found["share"], "crossover_reason": found["reason"]}


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a pair, task and kind of noise, one column a condition: differences, and where the order turns."""
    from cascade_equivalence.stats.ranking import TIED

    levels = sort_conditions(table["condition"])
    several = len(families(levels)) > 1
    rows = []
    keys = ("system", "reference", "task", "noise")
    for (system, reference, task, noise), part in table.group_by(*keys, maintain_order=True):
        found = {row["condition"]: row for row in part.iter_rows(named=True)}
        last = found[next(level for level in reversed(levels) if level in found)]
        rows.append(
            [
                f"{system} vs. {reference}",
                last["match"],
                task_title(str(task)),
                *([str(noise)] if several else []),
                f"{last['rows']:,} ({last['groups']:,})",
                *(points_ends(found[level], "difference") if level in found else NOT_RUN for level in levels),
                points_ends(last, "change"),
                _turned(found.values()),
                _crossing(last),
            ]
        )
    return Display(
        name="ranking",
        title="Which is better as noise grows",
        columns=[
            "Pair",
            "Match",
            "Task",
            *(["Noise"] if several else []),
            "Clips (texts)",
            *(f"{condition_title(level)} [{confidence:.0%}]" for level in levels),
            "Change in most noise",
            "Order turned",
            "Crossover",
        ],
        rows=rows,
        remarks=[
            "Accuracy of the first system minus that of the second in percentage points, on the same clips: clean "
            "speech has only the voices that are also heard in noise. Change: by how much the difference in the most "
            "noise differs from that on clean speech; below 0, the first system loses more. Intervals count whole "
            "texts, the same for both systems and all conditions, and are not adjusted for the number of rows.",
            "Order turned: where the sign is opposite to that on clean speech; shown if both intervals exclude 0 and "
            "both differences remain after the correction for all tests of the agreement table, else apparent, which "
            "chance may have done.",
            f"Crossover: the {_listed_levels(levels)} at which the difference first becomes 0 on the way from clean "
            "speech, on straight lines between those that were run. Clean speech has none: a crossing before the "
            f"mildest is only known to lie beyond it ({_beyond(levels)}). In brackets the interval of the draws that "
            "have a crossing, and their share.",
            *([f"{UNDEFINED}: {TIED}."] if TIED in table["crossover_reason"] else []),
        ],
        text_columns=3 + several,
    )


def _listed_levels(levels: Sequence[str]) -> str:
    """What the levels of some conditions are called."""
    return " or ".join(dict.fromkeys(scale.word for scale in _scales(levels)))


def _beyond(levels: Sequence[str]) -> str:
    """The signs of what is milder than the mildest of some conditions."""
    return " or ".join(dict.fromkeys(scale.milder for scale in _scales(levels)))


def _scales(levels: Sequence[str]) -> list[Scale]:
    return [NOISE_KINDS[kind].scale for kind in families(levels)]


def _turned(rows: Iterable[Mapping[str, Any]]) -> str:
    """The conditions in which the order is not that on clean speech."""
    from cascade_equivalence.stats.ranking import APPARENT, SHOWN

    words = {SHOWN: "shown", APPARENT: "apparent"}
    turned = [
        f"{condition_title(row['condition'])} ({words[row['reversed']]})" for row in rows if row["reversed"] in words
    ]
    return ", ".join(turned) or "no"


def _crossing(row: Mapping[str, Any]) -> str:
    """Where the order turns, with its interval and the share of draws in which it does."""
    from cascade_equivalence.stats.ranking import KEPT

    share = "" if row["crossover_share"] is None else f"{row['crossover_share']:.0%} of draws"
    if row["crossover"] is None:
        return f"none ({share})" if row["crossover_reason"] == KEPT and share else UNDEFINED
    value, low, high = (_level(row, end) for end in ENDS)
    if low is None:
        return f"{value} {row['crossover_unit']}"
    return f"{value} {row['crossover_unit']} [{low}, {high}; {share}]"


def _level(row: Mapping[str, Any], end: str) -> str | None:
    value = row[f"crossover{end}"]
    if value is None:
        return None
    scale = NOISE_KINDS[row["noise"]].scale
    beyond = f"{scale.milder} " if row[f"crossover{end}_censored"] else ""
    return f"{beyond}{round(value, scale.digits) + 0.0:.{scale.digits}f}".replace("-", MINUS)


def _build(results: "Results") -> pl.DataFrame:
    # Without clean speech there is nothing that noise could turn.
    heard_clean = (pl.col("condition") == CLEAN).any().over("system", "reference", "task")
    return frame(results.answers, results["agreement"].filter(heard_clean), results.labels, results.statistics)


TABLE = Table(
    name="ranking",
    section="noise",
    schema=PAIR | SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.ranking, confidence),
    planned=lambda study: bool(study.config.noise.conditions()),
)
