"""What one screen tells of each pair on each task, from the tidy tables, and the cascade a speech LLM is held against.

Open it to change when two systems are said to be alike, not alike, not told or at chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.study import GIVEN
from cascade_equivalence.report.chance import ABOVE, NOT_ABOVE, UNCLEAR, standing_of, worst
from cascade_equivalence.report.naming import CASCADE, HEARING
from cascade_equivalence.report.tables import Tables

ALIKE, AS_GOOD, APART = "alike", "only as good", "not alike"
OPEN, CHANCE, TOP = "untold", "at chance", "ceiling"
SYMBOLS = {ALIKE: "=", AS_GOOD: "~", APART: "≠", OPEN: "?", CHANCE: "c", TOP: "^"}
"""What stands in the grid, in the order of its key."""
STATES = {"equivalent": ALIKE, "accuracy only": AS_GOOD, "different": APART, "ceiling": TOP}
"""Verdicts of the equivalence table that say something; the others are not told."""
FEW, NO_KAPPA = "too few items", "κ is undefined"
CLOSENESS = ("exact", "family", "unknown")
"""How near two LLMs are, the nearest first."""
SystemPair = tuple[str, str]


@dataclass(frozen=True)
class Told:
    """What is told of a pair on a task.

    Attributes:
        state: One of ``SYMBOLS``.
        why: Why it is not told; empty where it is.
        better: The one that is shown to be right more often, if it is above chance.
    """

    state: str
    why: str = ""
    better: str | None = None


@dataclass(frozen=True)
class Opponent:
    """The cascade that a speech LLM is held against.

    Attributes:
        pair: The study's pair of the two.
        cascade: The cascade.
        is_own: Whether it has the speech LLM's own LLM.
    """

    pair: SystemPair
    cascade: str
    is_own: bool


def told(tables: Tables) -> dict[SystemPair, dict[str, Told]]:
    """What is told of every pair on every task, clean speech, in the order of the equivalence table.

    The verdicts are those of that table. Likeness of answers is read only where both systems are shown to be above
    chance, as guesses may be alike; that one is right more often than the other is told where either of them is.
    """
    standings = _standings(tables)
    found: dict[SystemPair, dict[str, Told]] = {}
    for row in tables.equivalence.filter(condition=CLEAN).iter_rows(named=True):
        arms = [standings.get((row[side], row["task"]), UNCLEAR) for side in ("system", "reference")]
        found.setdefault((row["system"], row["reference"]), {})[row["task"]] = _told(row, arms)
    return found


def _told(row: Mapping[str, Any], arms: Sequence[str]) -> Told:
    state = STATES.get(row["verdict"], OPEN)
    if state == APART and row["accuracy_verdict"] == "different" and ABOVE in arms:
        return Told(state, better=_better(row, arms))
    if (least := worst(arms)) == NOT_ABOVE:
        return Told(CHANCE)
    if least == UNCLEAR:
        return Told(OPEN, FEW)
    if state != OPEN:
        return Told(state)
    # Without a verdict though the accuracies have their interval: kappa has none.
    lacks_kappa = row["verdict"] == "undefined" and row["accuracy_difference_low"] is not None
    return Told(OPEN, NO_KAPPA if lacks_kappa else FEW)


def _better(row: Mapping[str, Any], arms: Sequence[str]) -> str | None:
    side = int((row["accuracy_difference"] or 0.0) < 0)
    return str(row[("system", "reference")[side]]) if arms[side] == ABOVE else None


@dataclass(frozen=True)
class Nearer:
    """To which of two cascades behind one recogniser a speech LLM is shown to be nearer.

    Attributes:
        other: The cascade with another LLM.
        own: Tasks on which it is nearer to its own cascade.
        others: Tasks on which it is nearer to the other.
    """

    other: str
    own: Sequence[str]
    others: Sequence[str]


def nearer(tables: Tables, name: str, cascade: str) -> list[Nearer]:
    """What is shown of a speech LLM between its cascade and others with another LLM behind the same recogniser.

    Args:
        tables: The tidy tables.
        name: The speech LLM.
        cascade: Its cascade.

    Returns:
        One for each other cascade; clean speech, tasks on which all three are shown to be above chance.
    """
    parts = {row["system"]: row for row in tables.accuracy.iter_rows(named=True)}
    standings = _standings(tables)
    found: dict[str, dict[bool, list[str]]] = {}
    for row in tables.contrasts.filter(condition=CLEAN, system=name, agreements_differ=True).iter_rows(named=True):
        for mine, other, sign in (("first", "second", 1), ("second", "first", -1)):
            who, task = row[other], row["task"]
            if row[mine] != cascade or row[f"match_{other}"] != "none" or not {who, cascade} <= set(parts):
                continue
            alike = parts[who]["kind"] == CASCADE and parts[who]["asr"] == parts[cascade]["asr"]
            above = all(standings.get((each, task)) == ABOVE for each in (name, cascade, who))
            if alike and above and row["kappa_difference"]:
                tasks = found.setdefault(who, {True: [], False: []})[sign * row["kappa_difference"] > 0]
                if task not in tasks:
                    tasks.append(task)
    return [Nearer(who, tasks[True], tasks[False]) for who, tasks in found.items()]


def _standings(tables: Tables) -> dict[tuple[str, str], str]:
    return {
        (row["system"], row["task"]): standing_of(row["accuracy_low"], row["chance"], row["against_chance"])
        for row in tables.accuracy.iter_rows(named=True)
    }


def opponents(tables: Tables) -> dict[str, Opponent | None]:
    """Of each speech LLM, in the order of the accuracy table, the cascade nearest to it among those of its pairs.

    Nearest: its own LLM, then one of its kind; behind a recogniser rather than reading its own transcript or a given
    text; and the first of the table.
    """
    parts = {row["system"]: row for row in tables.accuracy.iter_rows(named=True)}
    pairs = tables.agreement.filter(condition=CLEAN).unique(["system", "reference"], keep="first", maintain_order=True)
    found: dict[str, Opponent | None] = {}
    for name in (name for name, row in parts.items() if row["kind"] in HEARING):
        ranked = []
        for row in pairs.filter((pl.col("system") == name) | (pl.col("reference") == name)).iter_rows(named=True):
            side = "reference" if row["system"] == name else "system"
            if row[f"{side}_kind"] == CASCADE and row[side] in parts:
                asr, match = parts[row[side]]["asr"], row["match"]
                near = CLOSENESS.index(match) if match in CLOSENESS else len(CLOSENESS)
                rank = (near, asr in GIVEN, asr == parts[name]["model"])
                ranked.append((rank, Opponent((row["system"], row["reference"]), row[side], match == "exact")))
        found[name] = min(ranked, key=lambda each: each[0])[1] if ranked else None
    return found
