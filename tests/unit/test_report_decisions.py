"""Cascade or speech LLM, task by task: what is better is said only where it is shown."""

from typing import Any

import pytest
from test_report_claims import CLEAN, SUFFICIENT, around, study

from cascade_equivalence.report.decisions import CASCADES, EITHER, SPEECH, display
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.tables import Tables

KINDS = {"ears": "e2e", "own": "cascade", "reader": "cascade"}


def tables(
    ahead: float, *, compared: tuple[str, str] | None = ("ears", "own"), differ: bool = True, reach: float = 0.02
) -> Tables:
    """A speech LLM that is ahead of a cascade by so much, and a better cascade that reads the true text."""
    right = {"ears": 0.6 + ahead, "own": 0.6, "reader": 0.99}
    place = {"task": "meld", **CLEAN}
    accuracy = [
        {"system": name, "kind": KINDS[name], **place, **around("accuracy", right[name], reach)} for name in right
    ]
    costs = [{"system": name, "hears": name != "reader", "seconds_per_item": 1.0, **place} for name in right]
    rows: dict[str, list[dict[str, Any]]] = {"accuracy": accuracy, "costs": costs}
    if compared:
        difference = ahead if compared[0] == "ears" else -ahead
        pair = {"system": compared[0], "reference": compared[1], **place}
        rows["agreement"] = [pair | around("accuracy_difference", difference, 0.001) | {"accuracies_differ": differ}]
    return study(**rows)


@pytest.mark.parametrize(("ahead", "better"), [(0.2, SPEECH), (-0.2, CASCADES)])
def test_the_better_one_is_named_where_the_correction_leaves_it(ahead: float, better: str) -> None:
    (row,) = display(tables(ahead), SUFFICIENT).rows
    assert row[0] == task_title("meld") and row[2] == better
    # Nobody has the true text.
    assert not any("reader" in cell for cell in row)


@pytest.mark.parametrize("compared", [("ears", "own"), ("own", "ears")])
def test_the_difference_on_the_same_clips_counts_whichever_stands_first(compared: tuple[str, str]) -> None:
    (row,) = display(tables(0.01, compared=compared), SUFFICIENT).rows
    assert row[2] == SPEECH


def test_nothing_is_better_by_an_interval_alone() -> None:
    assert display(tables(0.2, differ=False), SUFFICIENT).rows[0][2] == EITHER
    assert display(tables(0.2, compared=None), SUFFICIENT).rows[0][2] == EITHER


def test_advice_follows_the_task_and_nothing_is_said_without_both_kinds() -> None:
    advice = {words: display(tables(0.1), {"meld": words}).rows[0][1] for words in (True, False)}
    assert advice[True] == CASCADES and advice[False] != CASCADES
    alone = tables(0.1)
    there = alone.accuracy.filter(kind="cascade")
    assert not display(alone.changed(accuracy=there), SUFFICIENT).rows
