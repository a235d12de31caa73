"""What probes and the logit lens say of the paper's claims, in findings."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from cascade_equivalence.report.display import UNDEFINED, decimal, interval, percent
from cascade_equivalence.report.finding import READABLE, RETAINED, SHOWN, Finding, first_reason
from cascade_equivalence.report.mechanism_names import PROBE_TITLES
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.verdict_claims import Judged, Sides, either, every

ACOUSTIC_PROBES = ("energy", "pitch")
FEASIBLE = 0.5
"""Share of utterances with enough frames for CTC below which its decodability says nothing about the states."""
ABOVE, BELOW, EITHER = "above", "below", "either"
SINGLE = "a single layer was looked at"
Row = Mapping[str, Any]


def retained(probes: pl.DataFrame, model: str, confidence: float) -> Iterator[Finding]:
    """Is energy, is pitch still there in the last layer, beyond what the voice tells?

    It is where the interval of R2 lies above 0 and above every probe on shuffled targets. It is lost where that is not
    shown although it was at the first layer, from which it fell on the same items. Otherwise nothing can be told.

    Args:
        probes: Tidy probes table.
        model: The model.
        confidence: Level of the intervals.
    """
    for probe in ACOUSTIC_PROBES:
        mine = probes.filter(~pl.col("untrained"), model=model, probe=probe).sort("layer")
        if mine.height:
            first, last = mine.row(0, named=True), mine.row(-1, named=True)
            outcome, why, p = _retained(first, last, confidence)
            numbers = f"{_at_last(last, 'R²')}{_lowest(mine, last)}"
            yield Finding(model, RETAINED, PROBE_TITLES[probe], "", outcome, numbers, why, _brief(last), p)


def _retained(first: Row, last: Row, confidence: float) -> Judged:
    if last["value_low"] is None:
        return Judged(UNTOLD, _undefined(last))
    there = Sides.of(last, "value", confidence).above(_control(last))
    was_there = Sides.of(first, "value", confidence).above(_control(first))
    p = either(there, every(was_there, Sides.of(last, "difference_first", confidence).below(0)))
    if last["value_low"] > _control(last):
        training = {
            ABOVE: "more than with untrained blocks",
            BELOW: "less than with untrained blocks",
            EITHER: "with untrained blocks it is not shown to be less, so it may come in with the sound",
        }
        depth = {BELOW: "less than at the first layer", ABOVE: "more than at the first layer"}
        said = [training.get(_side(last, "difference_untrained"), "")]
        if first["layer"] != last["layer"]:
            said.append(depth.get(_side(last, "difference_first"), "no change from the first layer is shown"))
        return Judged(HOLDS, "; ".join(part for part in said if part), p)
    if (
        first["value_low"] is not None
        and first["value_low"] > _control(first)
        and _side(last, "difference_first") == BELOW
    ):
        return Judged(FAILS, "it was there at the first layer, and is not told from shuffled targets any more", p)
    return Judged(UNTOLD, "it is not told from shuffled targets, and no loss since the first layer is shown either", p)


def readable(probes: pl.DataFrame, model: str, confidence: float) -> Iterator[Finding]:
    """Do CTC probes read more of the text with depth, more than untrained blocks would give?

    Args:
        probes: Tidy probes table.
        model: The model.
        confidence: Level of the intervals.
    """
    mine = probes.filter(~pl.col("untrained"), model=model, probe="ctc").sort("layer")
    if mine.height:
        last = mine.row(-1, named=True)
        outcome, why, p = _readable(last, confidence)
        numbers = f"{_at_last(last, 'decodability')}{_peak(mine)}"
        yield Finding(model, READABLE, "CTC", "", outcome, numbers, why, _brief(last), p)


def _readable(last: Row, confidence: float) -> Judged:
    share = last["feasible_share"]
    if last["value_low"] is None:
        return Judged(UNTOLD, _undefined(last))
    depth, training = (_side(last, f"difference_{other}") for other in ("first", "untrained"))
    reason = first_reason(
        {
            f"only {percent(share)} % of the utterances have as many frames as CTC needs": (share or 1) < FEASIBLE,
            SINGLE: last["layer"] == last["first_layer"],
        }
    )
    if reason:
        return Judged(UNTOLD, reason)
    rise = Sides.of(last, "difference_first", confidence)
    trained = [Sides.of(last, "difference_untrained", confidence).above(0)] if training else []
    told = Sides.of(last, "value", confidence).above(_control(last))
    p = either(rise.below(0), every(rise.above(0), told, *trained))
    if depth == BELOW:
        return Judged(FAILS, "it falls from the first layer to the last", p)
    reason = first_reason(
        {
            "it is not told from its controls, so there is no text that could rise": last["value_low"]
            <= _control(last),
            "no rise from the first layer is shown, which does not prove that there is none": depth != ABOVE,
            "untrained blocks are not shown to give less": training not in (ABOVE, ""),
        }
    )
    return Judged(UNTOLD if reason else HOLDS, reason, p)


def shown(lens: pl.DataFrame, model: str, confidence: float) -> Iterator[Finding]:
    """Does the logit lens show more of what was spoken with depth, and more than chance?

    Args:
        lens: Tidy lens table.
        model: The model.
        confidence: Level of the intervals.
    """
    mine = lens.filter(model=model).sort("layer")
    if not mine.height:
        return
    last = mine.row(-1, named=True)
    outcome, why, p = _shown(last, confidence)
    numbers = (
        f"at layer {last['layer']} a share of {_ends(last, 'precision')} of the shown tokens was spoken, "
        f"{decimal(last['chance_precision'])} by chance (difference {_ends(last, 'above_chance', signed=True)})"
    )
    if last["layer"] != last["first_layer"]:
        numbers += f"; since layer {last['first_layer']} {_ends(last, 'gain', signed=True)}"
        best = mine.drop_nulls("precision").sort("precision", descending=True)
        if best.height and best["layer"][0] != last["layer"]:
            numbers += f"; highest at layer {best['layer'][0]} ({decimal(best['precision'][0])})"
    brief = f"{decimal(last['precision'])}, by chance {decimal(last['chance_precision'])}"
    yield Finding(model, SHOWN, "Precision", "", outcome, numbers, why, brief, p)


def _shown(last: Row, confidence: float) -> Judged:
    if last["layer"] == last["first_layer"]:
        return Judged(UNTOLD, SINGLE)
    if last["above_chance_low"] is None:
        return Judged(UNTOLD, last["reason"] or "there is no interval")
    gain_low, gain_high = last["gain_low"], last["gain_high"]
    gain, chance = (Sides.of(last, name, confidence) for name in ("gain", "above_chance"))
    p = either(gain.below(0), chance.below(0), every(gain.above(0), chance.above(0)))
    against_it = first_reason(
        {
            "the last layer shows no more than chance gives": last["above_chance_high"] <= 0,
            "the last layer shows less than the first": gain_high is not None and gain_high < 0,
        }
    )
    if against_it:
        return Judged(FAILS, against_it, p)
    reason = first_reason(
        {
            "the last layer is not told from chance": last["above_chance_low"] <= 0,
            "no rise from the first layer is shown": gain_low is None or gain_low <= 0,
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


def _undefined(row: Row) -> str:
    return f"at layer {row['layer']} {row['reason'] or 'there is no interval'}"


def _ends(row: Row, name: str, *, signed: bool = False) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], signed=signed)


def _at_last(last: Row, measure: str) -> str:
    """The last layer beside its controls."""
    beside = [] if last["shuffled"] is None else [f"shuffled {decimal(last['shuffled'])}"]
    if last["voice_value"] is not None and last["probe"] in ACOUSTIC_PROBES:
        beside.append(f"the voice alone {decimal(last['voice_value'])} of the value across voices")
    if last["prior"] is not None:
        beside.append(f"hearing nothing {decimal(last['prior'])}")
    if last["untrained_value"] is not None:
        beside.append(f"untrained {_ends(last, 'untrained_value')}{_apart(last, 'difference_untrained')}")
    if last["first_layer"] != last["layer"]:
        beside.append(f"layer {last['first_layer']} {_ends(last, 'first_value')}{_apart(last, 'difference_first')}")
    value = UNDEFINED if last["value"] is None else _ends(last, "value")
    return f"at layer {last['layer']} {measure} {value}, against {', '.join(beside) or 'no control'}"


def _apart(last: Row, name: str) -> str:
    return "" if last[name] is None else f" (difference {_ends(last, name, signed=True)})"


def _brief(last: Row) -> str:
    return f"{decimal(last['value'])}, shuffled {decimal(last['shuffled'])}"


def _lowest(mine: pl.DataFrame, last: Row) -> str:
    ordered = mine.drop_nulls("value").sort("value")
    if not ordered.height or ordered["layer"][0] == last["layer"]:
        return ""
    return f"; lowest at layer {ordered['layer'][0]} ({decimal(ordered['value'][0])})"


def _peak(mine: pl.DataFrame) -> str:
    ordered = mine.drop_nulls("value").sort("value", descending=True)
    if not ordered.height or ordered["layer"][0] == mine["layer"][-1]:
        return ""
    return f"; highest at layer {ordered['layer'][0]} ({decimal(ordered['value'][0])})"
