"""The grid of the page: a row a pair, a column a task, and what is told of the two there.

Open it to change what stands in a cell; what is told is that of the terminal, from `screen_cells.py`.
"""

from collections.abc import Mapping
from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.display import decimal, ends, points_ends
from cascade_equivalence.report.naming import in_order, short_title, task_title
from cascade_equivalence.report.screen import in_telling_order
from cascade_equivalence.report.screen_cells import (
    ALIKE,
    APART,
    AS_GOOD,
    CHANCE,
    OPEN,
    SYMBOLS,
    TOP,
    Told,
    opponents,
    told,
)
from cascade_equivalence.report.tables import Tables

MEANINGS = {
    ALIKE: "equally good within the margin that the study set, with the same answers (κ near the ceiling's)",
    AS_GOOD: "equally good within the margin, but with other answers (κ below its bound)",
    APART: "a difference is shown: in accuracy, and not within the margin, or κ below its bound",
    OPEN: "neither is shown: too few texts, or too close to the bounds",
    CHANCE: "at least one of the two is not shown to be above chance: what they share may be habits of guessing",
    TOP: "a ceiling: one LLM and two transcripts, what others are held against",
}
"""Of each state of a cell what it means, as a reader sees it."""


def verdict_grid(tables: Tables) -> dict[str, Any] | None:
    """What is told of every pair on every task, clean speech; None where no pairs were judged.

    Args:
        tables: The tidy tables.

    Returns:
        ``tasks``, as (title, short title); ``rows``, each with the two of a pair, whether they have the same LLM, and a
        cell a task or None; ``legend``, as (symbol, state, meaning) of what is there.
    """
    cells = told(tables)
    if not cells:
        return None
    judged = {
        (row["system"], row["reference"], row["task"]): row
        for row in tables.equivalence.filter(condition=CLEAN).iter_rows(named=True)
    }
    tasks = in_order({task for mine in cells.values() for task in mine})
    rows = []
    for pair in in_telling_order(cells, opponents(tables)):
        mine = {task: _cell(one, judged[*pair, task]) for task, one in cells[pair].items()}
        match = judged[*pair, next(iter(mine))]["match"]
        rows.append({"pair": pair, "match": match, "cells": [mine.get(task) for task in tasks]})
    there = {one.state for mine in cells.values() for one in mine.values()}
    return {
        "tasks": [(task_title(task), short_title(task)) for task in tasks],
        "rows": rows,
        "legend": [(SYMBOLS[state], state, meaning) for state, meaning in MEANINGS.items() if state in there],
    }


def _cell(one: Told, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"state": one.state, "symbol": SYMBOLS[one.state], "task": row["task"], "numbers": _numbers(one, row)}


def _numbers(one: Told, row: Mapping[str, Any]) -> list[str]:
    """Kappa, and the number that decided, if it was another; the one that decided has its interval."""
    kappa = [] if row["kappa"] is None else [f"κ {decimal(row['kappa'])}"]
    if one.state == APART and row["accuracy_verdict"] == "different":
        return [*kappa, f"{points_ends(row, 'accuracy_difference')} points"]
    if row["gap"] is not None and one.state in (ALIKE, AS_GOOD, APART, OPEN):
        return [*kappa, f"{ends(row, 'gap', signed=True)} to the ceiling"]
    return [f"κ {ends(row, 'kappa')}"] if kappa else []
