"""Whether the text that emerges suffices, in findings."""

from collections.abc import Iterator, Mapping
from typing import Any

from cascade_equivalence.report.chance import ABOVE, standing_of
from cascade_equivalence.report.finding import SUFFICES, Finding, too_few
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.prose import inside
from cascade_equivalence.report.verdict_claims import Judged, Sides, either
from cascade_equivalence.report.verdict_inside import Inside

MARGIN = 0.1
"""Loss of κ that still counts as none; the choice is ours, the paper gives none."""


def suffices(opened: Inside) -> Iterator[Finding]:
    """Does a speech LLM agree with its implicit cascade about as much as with an explicit one?

    The text suffices on a task where the agreement with the implicit cascade is shown to be at most ``MARGIN`` lower
    than that with a cascade of the same LLM that reads a real transcript; it does not where it is shown to be lower and
    not within the margin. The implicit cascade itself may be at chance: that is how too little text shows.
    """
    for row in opened.tables.sufficiency.filter(model=opened.model).iter_rows(named=True):
        subject = inside("beside", system=row["system"], explicit=row["explicit"])
        outcome, why, p = _judged(row, opened.confidence)
        numbers = inside("sufficiency", row=row)
        yield Finding(opened.model, SUFFICES, subject, task_title(row["task"]), outcome, numbers, why, p=p)


def _judged(row: Mapping[str, Any], confidence: float) -> Judged:
    for arm in ("system", "explicit"):
        found = standing_of(row[f"{arm}_accuracy_low"], row["chance"], row[f"{arm}_against_chance"])
        if row["explicit"] is not None and found != ABOVE:
            return Judged(UNTOLD, inside("above_chance_there", standing=found, who=row[arm]))
    if row["kappa_difference_low"] is None:
        return Judged(UNTOLD, inside("no_interval", reason=row["reason"]))
    difference = Sides.of(row, "kappa_difference", confidence)
    p = either(difference.above(-MARGIN), difference.below(0))
    if row["kappa_difference_low"] > -MARGIN and too_few(row["groups"], MARGIN):
        return Judged(UNTOLD, inside("too_few", items=row["groups"], margin=inside("a_loss", margin=MARGIN)), p)
    if row["kappa_difference_low"] > -MARGIN:
        return Judged(HOLDS, inside("within", margin=MARGIN), p)
    if row["kappa_difference_high"] < 0:
        return Judged(FAILS, inside("agrees_less"), p)
    return Judged(UNTOLD, inside("open_loss", margin=MARGIN), p)
