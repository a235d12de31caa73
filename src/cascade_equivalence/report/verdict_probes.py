"""What probes, the logit lens and the text that emerges say of the paper's claims, in findings."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from cascade_equivalence.report import chance
from cascade_equivalence.report.finding import READABLE, RETAINED, SHOWN, SUFFICES, Finding, first_reason, too_few
from cascade_equivalence.report.mechanism_names import PROBE_TITLES
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.prose import inside
from cascade_equivalence.report.verdict_claims import Judged, Sides, either, every
from cascade_equivalence.report.verdict_inside import Inside

ACOUSTIC_PROBES = ("energy", "pitch")
FEASIBLE = 0.5
"""Share of utterances with enough frames for CTC below which its decodability says nothing about the states."""
ABOVE, BELOW, EITHER = "above", "below", "either"
Row = Mapping[str, Any]


def retained(opened: Inside) -> Iterator[Finding]:
    """Is energy, is pitch still there in the last layer, beyond what the voice tells?

    It is where the interval of R2 lies above 0 and above every probe on shuffled targets. It is lost where that is not
    shown although it was at the first layer, from which it fell on the same items. Otherwise nothing can be told.
    """
    for probe in ACOUSTIC_PROBES:
        mine = opened.tables.probes.filter(~pl.col("untrained"), model=opened.model, probe=probe).sort("layer")
        if mine.height:
            first, last = mine.row(0, named=True), mine.row(-1, named=True)
            outcome, why, p = _retained(first, last, opened.confidence)
            numbers = inside("probe", last=last, extreme=_extreme(mine, "value", highest=False))
            brief = inside("probe_brief", last=last)
            yield Finding(opened.model, RETAINED, PROBE_TITLES[probe], "", outcome, numbers, why, brief, p)


def _retained(first: Row, last: Row, confidence: float) -> Judged:
    if last["value_low"] is None:
        return Judged(UNTOLD, inside("undefined", row=last))
    there = Sides.of(last, "value", confidence).above(_control(last))
    was_there = Sides.of(first, "value", confidence).above(_control(first))
    p = either(there, every(was_there, Sides.of(last, "difference_first", confidence).below(0)))
    if last["value_low"] > _control(last):
        depth = None if first["layer"] == last["layer"] else _side(last, "difference_first")
        return Judged(HOLDS, inside("retained", training=_side(last, "difference_untrained"), depth=depth), p)
    if (
        first["value_low"] is not None
        and first["value_low"] > _control(first)
        and _side(last, "difference_first") == BELOW
    ):
        return Judged(FAILS, inside("lost"), p)
    return Judged(UNTOLD, inside("not_retained"), p)


def readable(opened: Inside) -> Iterator[Finding]:
    """Do CTC probes read more of the text with depth, more than untrained blocks would give?"""
    mine = opened.tables.probes.filter(~pl.col("untrained"), model=opened.model, probe="ctc").sort("layer")
    if mine.height:
        last = mine.row(-1, named=True)
        outcome, why, p = _readable(last, opened.confidence)
        numbers = inside("probe", last=last, extreme=_extreme(mine, "value"))
        yield Finding(opened.model, READABLE, "CTC", "", outcome, numbers, why, inside("probe_brief", last=last), p)


def _readable(last: Row, confidence: float) -> Judged:
    share = last["feasible_share"]
    if last["value_low"] is None:
        return Judged(UNTOLD, inside("undefined", row=last))
    depth, training = (_side(last, f"difference_{other}") for other in ("first", "untrained"))
    reason = first_reason(
        {
            inside("infeasible", share=share): (share or 1) < FEASIBLE,
            inside("one_layer"): last["layer"] == last["first_layer"],
        }
    )
    if reason:
        return Judged(UNTOLD, reason)
    rise = Sides.of(last, "difference_first", confidence)
    trained = [Sides.of(last, "difference_untrained", confidence).above(0)] if training else []
    told = Sides.of(last, "value", confidence).above(_control(last))
    p = either(rise.below(0), every(rise.above(0), told, *trained))
    if depth == BELOW:
        return Judged(FAILS, inside("text_falls"), p)
    reason = first_reason(
        {
            inside("no_text"): last["value_low"] <= _control(last),
            inside("text_does_not_rise"): depth != ABOVE,
            inside("untrained_as_well"): training not in (ABOVE, ""),
        }
    )
    return Judged(UNTOLD if reason else HOLDS, reason, p)


def shown(opened: Inside) -> Iterator[Finding]:
    """Does the logit lens show more of what was spoken with depth, and more than chance?"""
    mine = opened.tables.lens.filter(model=opened.model).sort("layer")
    if not mine.height:
        return
    last = mine.row(-1, named=True)
    outcome, why, p = _shown(last, opened.confidence)
    numbers = inside("lens", last=last, best=_extreme(mine, "precision"))
    yield Finding(opened.model, SHOWN, "Precision", "", outcome, numbers, why, inside("lens_brief", last=last), p)


def _shown(last: Row, confidence: float) -> Judged:
    if last["layer"] == last["first_layer"]:
        return Judged(UNTOLD, inside("one_layer"))
    if last["above_chance_low"] is None:
        return Judged(UNTOLD, inside("no_interval", reason=last["reason"]))
    gain_low, gain_high = last["gain_low"], last["gain_high"]
    gain, chance = (Sides.of(last, name, confidence) for name in ("gain", "above_chance"))
    p = either(gain.below(0), chance.below(0), every(gain.above(0), chance.above(0)))
    against_it = first_reason(
        {
            inside("no_more_than_chance"): last["above_chance_high"] <= 0,
            inside("less_than_first"): gain_high is not None and gain_high < 0,
        }
    )
    if against_it:
        return Judged(FAILS, against_it, p)
    reason = first_reason(
        {
            inside("not_told_from_chance"): last["above_chance_low"] <= 0,
            inside("no_rise"): gain_low is None or gain_low <= 0,
        }
    )
    return Judged(UNTOLD if reason else HOLDS, reason, p)


def _side(row: Row, name: str) -> str:
    """Where a difference is shown to lie from 0; empty where it has no interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if low is None or high is None:
        return ""
    return ABOVE if low > 0 else BELOW if high < 0 else EITHER


def _control(row: Row) -> float:
    """What a probe reaches without the states: on shuffled targets, or from nothing."""
    return max(0.0, row["shuffled_highest"] or 0.0, row["prior"] or 0.0)


def _extreme(mine: pl.DataFrame, name: str, *, highest: bool = True) -> Row | None:
    """The layer with the highest value, or the lowest; None where it is the last of all."""
    ordered = mine.drop_nulls(name).sort(name, descending=highest)
    return None if not ordered.height or ordered["layer"][0] == mine["layer"][-1] else ordered.row(0, named=True)


KAPPA_MARGIN = 0.1
"""Loss of κ that still counts as none; the choice is ours, the paper gives none."""


def suffices(opened: Inside) -> Iterator[Finding]:
    """Does a speech LLM agree with its implicit cascade about as much as with an explicit one?

    The text suffices on a task where the agreement with the implicit cascade is shown to be at most ``KAPPA_MARGIN``
    lower than that with a cascade of the same LLM that reads a real transcript; it does not where it is shown to be
    lower and not within the margin. The implicit cascade itself may be at chance: that is how too little text shows.
    """
    for row in opened.tables.sufficiency.filter(model=opened.model).iter_rows(named=True):
        subject = inside("beside", system=row["system"], explicit=row["explicit"])
        outcome, why, p = _sufficient(row, opened.confidence)
        numbers = inside("sufficiency", row=row)
        yield Finding(opened.model, SUFFICES, subject, task_title(row["task"]), outcome, numbers, why, p=p)


def _sufficient(row: Mapping[str, Any], confidence: float) -> Judged:
    for arm in ("system", "explicit"):
        found = chance.standing_of(row[f"{arm}_accuracy_low"], row["chance"], row[f"{arm}_against_chance"])
        if row["explicit"] is not None and found != chance.ABOVE:
            return Judged(UNTOLD, inside("above_chance_there", standing=found, who=row[arm]))
    if row["kappa_difference_low"] is None:
        return Judged(UNTOLD, inside("no_interval", reason=row["reason"]))
    difference = Sides.of(row, "kappa_difference", confidence)
    p = either(difference.above(-KAPPA_MARGIN), difference.below(0))
    if row["kappa_difference_low"] > -KAPPA_MARGIN and too_few(row["groups"], KAPPA_MARGIN):
        return Judged(UNTOLD, inside("too_few", items=row["groups"], margin=inside("a_loss", margin=KAPPA_MARGIN)), p)
    if row["kappa_difference_low"] > -KAPPA_MARGIN:
        return Judged(HOLDS, inside("within", margin=KAPPA_MARGIN), p)
    if row["kappa_difference_high"] < 0:
        return Judged(FAILS, inside("agrees_less"), p)
    return Judged(UNTOLD, inside("open_loss", margin=KAPPA_MARGIN), p)
