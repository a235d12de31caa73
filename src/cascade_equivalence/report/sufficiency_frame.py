"""Tidy table of whether the text that emerges suffices (paper's Table 6), from the study's other tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.study import CascadeSpec, E2ESpec, ImplicitSpec
from cascade_equivalence.report.columns import ENDS
from cascade_equivalence.report.mechanism_schemas import SUFFICIENCY
from cascade_equivalence.report.naming import Outline

NOT_COMPARED = "the study does not compare {} with {}"


@dataclass(frozen=True)
class Trio:
    """A speech LLM and two cascades with its LLM.

    Attributes:
        model: The speech LLM's weights.
        system: The speech LLM as a system.
        implicit: Its implicit cascade.
        explicit: A cascade that reads an ASR's transcript; None where the study compares it with none.
    """

    model: str
    system: str
    implicit: str
    explicit: str | None


def trios(outline: Outline, agreement: pl.DataFrame) -> Iterator[Trio]:
    """Speech LLMs with their implicit cascades, each beside every cascade of an ASR that has the same LLM.

    Args:
        outline: What the systems are made of.
        agreement: Tidy agreement table, which says whose LLMs are the same.

    Yields:
        One trio a cascade; one without a cascade where a speech LLM is compared with none of that kind.
    """
    for system, spec in outline.systems.items():
        if not isinstance(spec, E2ESpec):
            continue
        exact = [
            reference if first == system else first
            for first, reference, match in agreement.select("system", "reference", "match").iter_rows()
            if match == "exact" and system in (first, reference)
        ]
        cascades = [name for name in dict.fromkeys(exact) if reads_an_asr(name, outline)]
        for implicit, other in outline.systems.items():
            if isinstance(other, ImplicitSpec) and other.model == spec.model:
                for explicit in cascades or [None]:
                    yield Trio(spec.model, system, implicit, explicit)


def reads_an_asr(name: str, outline: Outline) -> bool:
    """Whether a system is a cascade behind a recogniser: one that reads no true text, nor what a speech LLM wrote."""
    spec = outline.systems[name]
    return isinstance(spec, CascadeSpec) and outline.asr_kind(spec.asr) == "asr"


def sufficiency_table(
    accuracy: pl.DataFrame, agreement: pl.DataFrame, contrasts: pl.DataFrame, outline: Outline
) -> pl.DataFrame:
    """Agreement of speech LLMs with their implicit cascades, beside their explicit ones, on clean speech.

    Args:
        accuracy: Tidy accuracy table.
        agreement: Tidy agreement table.
        contrasts: Tidy contrasts table, for the paired difference of the two agreements.
        outline: What the systems are made of.

    Returns:
        Table with the columns ``SUFFICIENCY``: a row for every trio and task that both the speech LLM and its implicit
        cascade answered, whether or not the study compares them.
    """
    found = {(row["system"], row["task"]): row for row in accuracy.iter_rows(named=True)}
    clean = agreement.filter(pl.col("condition") == CLEAN)
    pairs = {(frozenset((row["system"], row["reference"])), row["task"]): row for row in clean.iter_rows(named=True)}
    paired = {
        (row["system"], row["first"], row["second"], row["task"]): row
        for row in contrasts.filter(pl.col("condition") == CLEAN).iter_rows(named=True)
    }
    rows = []
    for trio in trios(outline, agreement):
        for task in outline.ordered_tasks():
            if (trio.system, task) not in found or (trio.implicit, task) not in found:
                continue
            row = _row(trio, task, found, pairs)
            rows.append(row | _difference(trio, task, row, paired))
    return pl.DataFrame(rows, schema=SUFFICIENCY, orient="row")


def _row(trio: Trio, task: str, found: dict, pairs: dict) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": trio.model,
        "system": trio.system,
        "implicit": trio.implicit,
        "explicit": trio.explicit,
        "task": task,
        "chance": found[trio.system, task]["chance"],
    }
    missing = []
    for arm in ("system", "implicit", "explicit"):
        name = row[arm]
        mine = found.get((name, task), {})
        row |= {f"{arm}_accuracy{end}": mine.get(f"accuracy{end}") for end in ENDS}
        row[f"{arm}_against_chance"] = mine.get("against_chance")
        if arm == "explicit":
            row["explicit_asr"] = mine.get("asr")
        if arm == "system" or name is None:
            continue
        pair = pairs.get((frozenset((trio.system, name)), task))
        row |= {f"kappa_{arm}{end}": pair[f"kappa{end}"] if pair else None for end in ENDS}
        if pair is None:
            missing.append(NOT_COMPARED.format(trio.system, name))
        elif pair["kappa_reason"]:
            missing.append(f"κ with {name}: {pair['kappa_reason']}")
        if arm == "implicit":
            row |= {name: pair[name] if pair else None for name in ("rows", "groups")}
    if trio.explicit is None:
        missing.append(f"{trio.system} is compared with no cascade of an ASR that has its LLM")
    return row | {"reason": "; ".join(missing) or None}


def _difference(trio: Trio, task: str, row: dict[str, Any], paired: dict) -> dict[str, Any]:
    """Implicit minus explicit: of a contrast if there is one, else of two intervals, as wide as they allow."""
    names = [f"kappa_difference{end}" for end in ENDS]
    if (one := paired.get((trio.system, trio.implicit, trio.explicit, task))) is not None:
        return {"paired": True} | {name: one[name] for name in names}
    if (one := paired.get((trio.system, trio.explicit, trio.implicit, task))) is not None:
        values = [one[names[place]] for place in (0, 2, 1)]
        negative = (None if value is None else 0.0 - value for value in values)
        return {"paired": True} | dict(zip(names, negative, strict=True))

    def minus(end: str, other: str) -> float | None:
        one, two = row.get(f"kappa_implicit{end}"), row.get(f"kappa_explicit{other}")
        return None if one is None or two is None else one - two

    return {"paired": False} | dict(
        zip(names, (minus("", ""), minus("_low", "_high"), minus("_high", "_low")), strict=True)
    )
