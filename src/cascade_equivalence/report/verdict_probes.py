"""What probes and the logit lens say of the paper's claims, in findings."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from cascade_equivalence.report.display import UNDEFINED, decimal, interval, percent
from cascade_equivalence.report.finding import (
    FAILS,
    HOLDS,
    READABLE,
    RETAINED,
    SHOWN,
    UNTOLD,
    Finding,
    against,
    first_reason,
)
from cascade_equivalence.report.mechanism_names import PROBE_TITLES

ACOUSTIC_PROBES = ("energy", "pitch")
FEASIBLE = 0.5
"""Share of utterances with enough frames for CTC below which its decodability says nothing about the states."""
SINGLE = "a single layer was looked at"
Row = Mapping[str, Any]


def retained(probes: pl.DataFrame, model: str) -> Iterator[Finding]:
    """Is energy, is pitch still there in the last layer?

    It is where the interval of R2 lies above 0 and above every probe on shuffled targets. It is lost where that is not
    shown although it was at the first layer, from which it fell. Otherwise nothing can be told.

    Args:
        probes: Tidy probes table.
        model: The model.
    """
    for probe in ACOUSTIC_PROBES:
        mine = probes.filter(~pl.col("untrained"), model=model, probe=probe).sort("layer")
        if mine.height:
            first, last = mine.row(0, named=True), mine.row(-1, named=True)
            outcome, why = _retained(first, last)
            numbers = f"{_at_last(last, 'R²')}{_lowest(mine, last)}"
            yield Finding(model, RETAINED, PROBE_TITLES[probe], "", outcome, numbers, why, _brief(last))


def _retained(first: Row, last: Row) -> tuple[str, str]:
    if last["value_low"] is None:
        return UNTOLD, _undefined(last)
    if last["value_low"] > _control(last):
        training = {
            "above": "more than with untrained blocks",
            "below": "less than with untrained blocks",
            "overlaps": "with untrained blocks it is not shown to be less, so it may come in with the sound",
        }
        depth = {"below": "less than at the first layer", "above": "more than at the first layer"}
        said = [training.get(against(last, "value", "untrained_value") or "", "")]
        if first["layer"] != last["layer"]:
            said.append(
                depth.get(against(last, "value", "first_value") or "", "no change from the first layer is shown")
            )
        return HOLDS, "; ".join(part for part in said if part)
    if (
        first["value_low"] is not None
        and first["value_low"] > _control(first)
        and last["value_high"] < first["value_low"]
    ):
        return FAILS, "it was there at the first layer, and is not told from shuffled targets any more"
    return UNTOLD, "it is not told from shuffled targets, and no loss since the first layer is shown either"


def readable(probes: pl.DataFrame, model: str) -> Iterator[Finding]:
    """Do CTC probes read more of the text with depth, more than untrained blocks would give?

    Args:
        probes: Tidy probes table.
        model: The model.
    """
    mine = probes.filter(~pl.col("untrained"), model=model, probe="ctc").sort("layer")
    if mine.height:
        last = mine.row(-1, named=True)
        outcome, why = _readable(last)
        numbers = f"{_at_last(last, 'decodability')}{_peak(mine)}"
        yield Finding(model, READABLE, "CTC", "", outcome, numbers, why, _brief(last))


def _readable(last: Row) -> tuple[str, str]:
    share = last["feasible_share"]
    if last["value_low"] is None:
        return UNTOLD, _undefined(last)
    depth = against(last, "value", "first_value")
    reason = first_reason(
        {
            f"only {percent(share)} % of the utterances have as many frames as CTC needs": (share or 1) < FEASIBLE,
            SINGLE: last["layer"] == last["first_layer"],
        }
    )
    if not reason and depth == "below":
        return FAILS, "it falls from the first layer to the last"
    reason = reason or first_reason(
        {
            "it is not told from its controls, so there is no text that could rise": last["value_low"]
            <= _control(last),
            "no rise from the first layer is shown, which does not prove that there is none": depth != "above",
            "untrained blocks are not shown to give less": against(last, "value", "untrained_value")
            in ("below", "overlaps"),
        }
    )
    return (UNTOLD, reason) if reason else (HOLDS, "")


def shown(lens: pl.DataFrame, model: str) -> Iterator[Finding]:
    """Does the logit lens show more of what was spoken with depth, and more than chance?

    Args:
        lens: Tidy lens table.
        model: The model.
    """
    mine = lens.filter(model=model).sort("layer")
    if not mine.height:
        return
    last = mine.row(-1, named=True)
    outcome, why = _shown(last)
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
    yield Finding(model, SHOWN, "Precision", "", outcome, numbers, why, brief)


def _shown(last: Row) -> tuple[str, str]:
    if last["above_chance_low"] is None or last["layer"] == last["first_layer"]:
        return UNTOLD, SINGLE if last["layer"] == last["first_layer"] else last["reason"] or "there is no interval"
    gain_low, gain_high = last["gain_low"], last["gain_high"]
    against_it = first_reason(
        {
            "the last layer shows no more than chance gives": last["above_chance_high"] <= 0,
            "the last layer shows less than the first": gain_high is not None and gain_high < 0,
        }
    )
    if against_it:
        return FAILS, against_it
    reason = first_reason(
        {
            "the last layer is not told from chance": last["above_chance_low"] <= 0,
            "no rise from the first layer is shown": gain_low is None or gain_low <= 0,
        }
    )
    return (UNTOLD, reason) if reason else (HOLDS, "")


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
    if last["prior"] is not None:
        beside.append(f"hearing nothing {decimal(last['prior'])}")
    if last["untrained_value"] is not None:
        beside.append(f"untrained {_ends(last, 'untrained_value')}")
    if last["first_layer"] != last["layer"]:
        beside.append(f"layer {last['first_layer']} {_ends(last, 'first_value')}")
    value = UNDEFINED if last["value"] is None else _ends(last, "value")
    return f"at layer {last['layer']} {measure} {value}, against {', '.join(beside) or 'no control'}"


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
