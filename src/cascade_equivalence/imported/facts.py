"""What is found of two systems as a reader sees it: a line a number, for the terminal and the page."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import some_of
from cascade_equivalence.imported.agree import AgreementFound
from cascade_equivalence.imported.comparison import TaskAgreement
from cascade_equivalence.report.display import (
    MINUS,
    UNDEFINED,
    decimal,
    interval,
    p_value,
    percent,
    points_interval,
)
from cascade_equivalence.report.equivalence_table import ACCURACY_WORDS, KAPPA_WORDS, WORDS

LETTERS = "ABC"
LABELS_SHOWN = 8


class FactLine(NamedTuple):
    """One line.

    Attributes:
        name: What the number is.
        value: The number with its interval, or why there is none.
    """

    name: str
    value: str


def summary_of(found: AgreementFound) -> tuple[list[str], list[list[str]]]:
    """The headings and cells of a table with a row a task."""
    level = f"{found.statistics.confidence:.0%}"
    rows = [
        [
            title(each),
            f"{each.rows:,}",
            percent(each.estimates["accuracy_a"]["value"]),
            percent(each.estimates["accuracy_b"]["value"]),
            interval(*_ends(each.estimates["kappa"])),
            WORDS[each.verdicts["together"]],
        ]
        for each in found.tasks
    ]
    return ["Task", "Items", "A %", "B %", f"κ [{level}]", "Together"], rows


def title(task: TaskAgreement) -> str:
    """The name of a task."""
    return task.task or "all items"


def compared(task: TaskAgreement) -> str:
    """What was compared, in words."""
    if task.by == "scores":
        return "as right and wrong, not by what they say"
    if task.labels:
        return f"from {some_of(list(task.labels), LABELS_SHOWN)}"
    return "free ones, as texts"


def facts_of(task: TaskAgreement, statistics: StatisticsConfig, *, several: bool, third: bool) -> list[FactLine]:
    """All that is found on a task.

    Args:
        task: What is found.
        statistics: Level and bounds.
        several: Whether there are other tasks, over which p-values are corrected.
        third: Whether a third file gave the ceiling.
    """
    found, test, bounds = task.estimates, task.tests, statistics.equivalence
    groups = "" if task.groups == task.rows else f" in {task.groups:,} groups"
    by_groups = p_value(test["clustered"]["p"])
    if test["clustered"]["reason"]:
        by_groups += f" ({test['clustered']['reason']})"
    elif several:
        by_groups += f" (corrected over the tasks {p_value(task.adjusted['difference'])})"
    lines = [
        FactLine("Compared", f"{task.rows:,} answers{groups}, {compared(task)}"),
        FactLine("Accuracy of A, %", _shares(found["accuracy_a"])),
        FactLine("Accuracy of B, %", _shares(found["accuracy_b"])),
        FactLine(f"A {MINUS} B, points", _told(found["difference"], points_interval(*_ends(found["difference"])))),
        FactLine("McNemar", f"only A right {test['b']:,}, only B right {test['c']:,}; p {p_value(test['p'])}"),
        FactLine("McNemar by groups", f"p {by_groups}; exact p {p_value(test['permutation']['p'])}"),
    ]
    if task.by == "answers":
        invalid = [percent(1 - found[f"parsed_{side}"]["value"]) for side in "ab"]
        lines.append(FactLine("Invalid answers, %", f"A {invalid[0]}, B {invalid[1]}; a category of its own in κ"))
    lines += [
        FactLine(
            "Same answer, %" if task.by == "answers" else "Both right or both wrong, %", _shares(found["same_answer"])
        ),
        FactLine("κ of A and B", _told(found["kappa"], interval(*_ends(found["kappa"])))),
    ]
    if third:
        gap = interval(*_ends(found["gap"]), signed=True)
        lines += [
            FactLine("Ceiling: κ of A and C", _told(found["ceiling"], interval(*_ends(found["ceiling"])))),
            FactLine(f"κ {MINUS} ceiling", _told(found["gap"], gap)),
        ]
    by_chance = "" if task.overlap_chance is None else f"; by chance {decimal(task.overlap_chance)}"
    overlap = interval(*_ends(found["overlap"])) + by_chance
    lines += [
        FactLine("Both wrong", f"{task.both_wrong:,} of {task.rows:,}"),
        FactLine("Error overlap", _told(found["overlap"], overlap)),
        FactLine(
            "Accuracies", f"{ACCURACY_WORDS[task.verdicts['accuracy']]} (margin ±{100 * bounds.accuracy_margin:g})"
        ),
        FactLine("Answers", f"{KAPPA_WORDS[task.verdicts['answers']]} ({_held_against(task, statistics)})"),
        FactLine("Together", WORDS[task.verdicts["together"]]),
    ]
    return lines


def legend(found: AgreementFound) -> list[str]:
    """What the words and marks mean, a sentence or two each."""
    bounds, level = found.statistics.equivalence, f"{found.statistics.confidence:.0%}"
    held = (
        f"κ no more than {bounds.ceiling_margin:g} below the ceiling, A's agreement with itself when asked otherwise"
        if len(found.names) == len(LETTERS)
        else f"κ above {bounds.kappa_bound:g}"
    )
    return [
        f"In brackets: {level} intervals; they count whole groups of items as the independent units.",
        f"Together: equivalent if accuracies are within ±{100 * bounds.accuracy_margin:g} points and answers the same "
        f"({held}); not shown is no verdict: more items could show either.",
        "Error overlap: of the items both got wrong, the share with one and the same wrong answer.",
    ]


def _shares(found: Mapping[str, Any]) -> str:
    value, low, high = _ends(found)
    shown = percent(value) if low is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"
    return _told(found, shown)


def _ends(found: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    return found["value"], found["low"], found["high"]


def _told(found: Mapping[str, Any], shown: str) -> str:
    """A number, or why it or its interval is missing."""
    if found["value"] is None:
        return f"{UNDEFINED}: {found['reason']}"
    return f"{shown} ({found['reason']})" if found["reason"] else shown


def _held_against(task: TaskAgreement, statistics: StatisticsConfig) -> str:
    bounds = statistics.equivalence
    if task.estimates["gap"]["value"] is not None:
        return f"κ against the ceiling, margin {bounds.ceiling_margin:g}"
    return f"κ against {bounds.kappa_bound:g}"


def systems(found: AgreementFound) -> Sequence[tuple[str, str, str]]:
    """Letter, name and format of each system."""
    return [
        (letter, *pair) for letter, pair in zip(LETTERS, zip(found.names, found.formats, strict=True), strict=False)
    ]
